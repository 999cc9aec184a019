//! TLS of checks. By default nothing is verified, as with keepalived: the question is whether the server answers, not who it is.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the server.
    pub server: IpAddr,
    /// Name to send (SNI), and to verify where verification is on; `None`: none is sent, and the address is verified.
    pub name: Option<String>,
    /// Verify by this file of authorities.
    pub authorities: Option<String>,
    /// Client certificate and key files, and the passphrase of the key.
    pub client: Option<(String, String, Option<String>)>,
    /// Offer HTTP/2 (ALPN).
    pub http2: bool,
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection's TLS half. Fails when a certificate file cannot be used, or the name is none.
pub fn connect(s: &Settings) -> io::Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let verifier: Arc<dyn ServerCertVerifier> = match &s.authorities {
        None => Arc::new(Anybody(provider.clone())),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| told(path, &e))? {
                roots.add(certificate.map_err(|e| told(path, &e))?).map_err(io::Error::other)?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(io::Error::other)?
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &s.client {
        None => builder.with_no_client_auth(),
        Some((certificates, key, passphrase)) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(certificates).map_err(|e| told(certificates, &e))?.collect();
            let key_der = private_key(key, passphrase.as_deref())?;
            let chain = chain.map_err(|e| told(certificates, &e))?;
            builder.with_client_auth_cert(chain, key_der).map_err(io::Error::other)?
        }
    };
    if s.http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let name = match &s.name {
        Some(n) => ServerName::try_from(n.clone()).map_err(io::Error::other)?,
        None => ServerName::from(s.server),
    };
    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)
}

/// A key from its file. An encrypted one must be PKCS #8 (`BEGIN ENCRYPTED PRIVATE KEY`).
fn private_key(path: &str, passphrase: Option<&str>) -> io::Result<PrivateKeyDer<'static>> {
    let Some(passphrase) = passphrase else {
        return PrivateKeyDer::from_pem_file(path).map_err(|e| told(path, &e));
    };
    let text = std::fs::read_to_string(path).map_err(|e| told(path, &e))?;
    if !text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| told(path, &e));
    }
    let (_, sealed) = pkcs8::SecretDocument::from_pem(&text).map_err(|e| told(path, &e))?;
    let sealed = pkcs8::EncryptedPrivateKeyInfo::try_from(sealed.as_bytes()).map_err(|e| told(path, &e))?;
    let key = sealed.decrypt(passphrase).map_err(|e| told(path, &e))?;
    PrivateKeyDer::try_from(key.as_bytes().to_vec()).map_err(|e| io::Error::other(format!("{path}: {e}")))
}

/// Names without the kind that the library writes around them: `DnsName("web.example")`.
fn bare(presented: &[String]) -> Vec<&str> {
    let name = |p: &String| p.find('(').map_or(0, |at| at + 1);
    presented.iter().map(|p| p.get(name(p)..).unwrap_or(p).trim_end_matches(')').trim_matches('"')).collect()
}

/// Why TLS failed: what is wrong with a certificate in words, the rest as the library has it.
pub fn in_words(e: Error) -> io::Error {
    use rustls::CertificateError as Bad;
    let Error::InvalidCertificate(bad) = e else { return io::Error::other(e) };
    let what = match &bad {
        Bad::Expired | Bad::ExpiredContext { .. } => "it has expired".into(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not valid yet".into(),
        Bad::UnknownIssuer => "no authority of the ca file has issued it".into(),
        Bad::NotValidForNameContext { expected, presented } => {
            let wanted = expected.to_str();
            match presented.is_empty() {
                true => format!("it is not for {wanted}: it has no name"),
                false => format!("it is not for {wanted}, but for {}", bare(presented).join(", ")),
            }
        }
        Bad::NotValidForName => "it is for another name".into(),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => "it is not one for servers".into(),
        Bad::BadSignature => "its signature is wrong".into(),
        Bad::BadEncoding => "it cannot be read".into(),
        Bad::Revoked => "it has been revoked".into(),
        // The error of the library behind has no name here.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is self-signed or an authority's own, not one that an authority of the ca file has issued to a server"
                .into()
        }
        other => other.to_string(),
    };
    io::Error::other(format!("certificate of the server: {what}"))
}

fn told(path: &str, e: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("{path}: {e}"))
}

/// TLS over a connected stream that may wait.
pub fn stream(
    s: &Settings,
    stream: std::net::TcpStream,
) -> io::Result<rustls::StreamOwned<ClientConnection, std::net::TcpStream>> {
    Ok(rustls::StreamOwned::new(connect(s)?, stream))
}
