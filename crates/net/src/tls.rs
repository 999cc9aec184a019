//! TLS of checks. By default nothing is verified, as with keepalived: the question is whether the server answers, not who it is.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use steadfast_core::Secret;
use steadfast_core::text::plain;

mod cbc;

/// Bytes of a server as records of its connection, with keys that are known: for the fuzzer.
#[doc(hidden)]
pub fn drive_records(bytes: &[u8]) -> bool {
    cbc::drive(bytes)
}

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the server.
    pub server: IpAddr,
    /// Name to send (SNI); `None`: that to verify, and where there is none, too, none is sent.
    pub name: Option<String>,
    /// Name to verify where verification is on; `None`: that which is sent, else the address.
    pub proven: Option<String>,
    /// Verify by this file of authorities.
    pub authorities: Option<String>,
    /// Client certificate and key files, and the passphrase of the key.
    pub client: Option<(String, String, Option<String>)>,
    /// Offer HTTP/2 (ALPN).
    pub http2: bool,
}

/// Believes everybody.
#[derive(Debug)]
struct Anybody;

/// Signatures that a server may make. None is looked at, and a server whose key can make no other would be taken for dead: those that the
/// library can verify come first, for servers that take the first that fits, SHA-1 (of TLS 1.2 servers alone) last.
const SIGNATURES: [SignatureScheme; 16] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    // Of keys that are for RSASSA-PSS alone (RFC 8446 4.2.3): with SHA-256, 384, 512.
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

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
        SIGNATURES.to_vec()
    }
}

/// A connection's TLS half. Fails when a certificate file cannot be used, or the name is none.
pub fn connect(s: &Settings) -> io::Result<ClientConnection> {
    let config = shared(s)?;
    let name = match s.name.as_ref().or(s.proven.as_ref()).map(|n| server_name(n)) {
        Some(Ok(name)) => name,
        // One that is to be verified must be a name; else the question is whether the server answers.
        Some(Err(e)) if s.authorities.is_some() && s.name_apart().is_none() => return Err(e),
        _ => ServerName::from(s.server),
    };
    ClientConnection::new(config, name).map_err(io::Error::other)
}

fn server_name(n: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host(n).to_owned()).map_err(io::Error::other)
}

impl Settings {
    /// The name to verify, where it is another than is sent.
    fn name_apart(&self) -> Option<&String> {
        self.proven
            .as_ref()
            .filter(|proven| self.authorities.is_some() && self.name.as_ref().is_some_and(|n| n != *proven))
    }
}

/// Verifies another name than is sent.
#[derive(Debug)]
struct Apart(Arc<WebPkiServerVerifier>, ServerName<'static>);

impl ServerCertVerifier for Apart {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.verify_server_cert(end_entity, intermediates, &self.1, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The host of what a Host header has: without a port, and without brackets.
fn host(n: &str) -> &str {
    if let Some((address, _)) = n.strip_prefix('[').and_then(|n| n.split_once(']')) {
        return address;
    }
    match n.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => n,
    }
}

/// What a file is known by: device, inode, size, and when it was changed.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamp(path: &str) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}

/// What a configuration of TLS is made of.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Made(Option<String>, Option<(String, String, Option<String>)>, bool, Option<String>);

/// Configurations that are kept at most.
const KEPT: usize = 64;

/// Configurations, with what their files were then.
type Known = HashMap<Made, (Vec<Stamp>, Arc<ClientConfig>)>;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// One configuration for equal settings as long as its files are the same: to read the authorities of a host takes a millisecond or two,
/// to unlock a key a good deal more, and a check may come every second.
fn shared(s: &Settings) -> io::Result<Arc<ClientConfig>> {
    let made = Made(s.authorities.clone(), s.client.clone(), s.http2, s.name_apart().cloned());
    let files = s.authorities.iter().chain(s.client.iter().flat_map(|(c, k, _)| [c, k]));
    let stamps: Vec<Stamp> = files.map(|p| stamp(p)).collect();
    KNOWN.with_borrow_mut(|known| {
        if let Some((_, config)) = known.get(&made).filter(|(then, _)| *then == stamps) {
            return Ok(config.clone());
        }
        let config = Arc::new(config(s)?);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(made, (stamps, config.clone()));
        Ok(config)
    })
}

/// The authorities of a host take a quarter of a megabyte.
const LARGEST: u64 = 4 << 20;

/// A file of certificates or keys. What is wanting here is told as it is.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let lacks = |e: &io::Error| matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM));
    let named = |e: io::Error| if lacks(&e) { e } else { io::Error::new(e.kind(), told(path, &e)) };
    // A pipe would keep whoever opens it, and a device has no end.
    let about = std::fs::metadata(path).map_err(named)?;
    let why = match (about.is_file(), about.len()) {
        (true, 0..=LARGEST) => return std::fs::read(path).map_err(named),
        (true, _) => "it is too large for a file of certificates",
        (false, _) => "it is no regular file",
    };
    Err(io::Error::other(format!("{path}: {why}")))
}

/// Certificates that are believed.
fn authorities(path: &str) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| of_certificate(path, e))?;
    }
    Ok(roots)
}

fn certificates(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let all = all.map_err(|e| of_pem(path, e))?;
    if all.is_empty() {
        return Err(io::Error::other(format!("{path}: no certificate in PEM form is in it")));
    }
    Ok(all)
}

/// What is wrong with files that checks will use, each with the word of the configuration that names it: `ca`, `certificate`, `key`.
pub fn faults(
    ca: Option<&str>,
    certificate: Option<&str>,
    key: Option<&str>,
    password: Option<&Secret>,
) -> Vec<(&'static str, String)> {
    let told = |word, e: io::Error| (word, plain(&e.to_string()).into_owned());
    // Who checks is root: that somebody else cannot read a key is as it should be.
    let fault = |e: &io::Error| e.kind() != io::ErrorKind::PermissionDenied || nix::unistd::geteuid().is_root();
    let ca = ca.and_then(|path| authorities(path).err()).filter(fault);
    let mut all: Vec<_> = ca.map(|e| told("ca", e)).into_iter().collect();
    let Some((certificate, key)) = certificate.zip(key) else { return all };
    let password = password.map(|p| String::from_utf8_lossy(p.bytes()));
    let (chain, opened) = (certificates(certificate), private_key(key, password.as_deref()));
    match (chain, opened) {
        (Ok(chain), Ok(opened)) => {
            if let Err(e) = CertifiedKey::from_der(chain, opened, &ring::default_provider()) {
                let word = if matches!(e, Error::InvalidCertificate(_)) { "certificate" } else { "key" };
                all.push(told(word, of_pair(certificate, key, e)));
            }
        }
        (chain, opened) => {
            all.extend(chain.err().filter(fault).map(|e| told("certificate", e)));
            all.extend(opened.err().filter(fault).map(|e| told("key", e)));
        }
    }
    all
}

/// Why a certificate of a file cannot be used: the library speaks of a server's.
fn of_certificate(path: &str, e: Error) -> io::Error {
    match e {
        Error::InvalidCertificate(rustls::CertificateError::BadEncoding) => {
            io::Error::other(format!("{path}: a certificate in it cannot be read"))
        }
        e => told(path, &e),
    }
}

/// Why what is between the lines of a file is nothing.
fn of_pem(path: &str, e: PemError) -> io::Error {
    let what = match e {
        PemError::NoItemsFound => "no private key in PEM form is in it".to_string(),
        PemError::Base64Decode(_) => "what is between BEGIN and END is no base64".into(),
        PemError::MissingSectionEnd { .. } => "a line of END is missing".into(),
        e => e.to_string(),
    };
    io::Error::other(format!("{path}: {what}"))
}

/// Why a certificate and a key are no client certificate.
fn of_pair(certificate: &str, key: &str, e: Error) -> io::Error {
    match e {
        Error::InconsistentKeys(_) => {
            io::Error::other(format!("{key} is not the key of the certificate {certificate}"))
        }
        e @ Error::InvalidCertificate(_) => of_certificate(certificate, e),
        e => told(key, &e),
    }
}

fn config(s: &Settings) -> io::Result<ClientConfig> {
    // HTTP/2 forbids the older suites (RFC 9113 appendix A).
    let provider =
        Arc::new(if s.authorities.is_some() || s.http2 { ring::default_provider() } else { cbc::provider() });
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let verifier: Arc<dyn ServerCertVerifier> = match &s.authorities {
        None => Arc::new(Anybody),
        Some(path) => {
            let roots = authorities(path)?;
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = builder.build().map_err(io::Error::other)?;
            match s.name_apart() {
                None => verifier,
                Some(name) => Arc::new(Apart(verifier, server_name(name)?)),
            }
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &s.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key, passphrase)) => {
            let (chain, opened) = (certificates(certificate)?, private_key(key, passphrase.as_deref())?);
            builder.with_client_auth_cert(chain, opened).map_err(|e| of_pair(certificate, key, e))?
        }
    };
    if s.http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    // A session that is resumed verifies nothing.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A key from its file. An encrypted one must be PKCS #8 (`BEGIN ENCRYPTED PRIVATE KEY`).
fn private_key(path: &str, passphrase: Option<&str>) -> io::Result<PrivateKeyDer<'static>> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let why = "an encrypted key must be in PKCS #8 form (openssl pkcs8 -topk8)";
        return Err(io::Error::other(format!("{path}: {why}")));
    }
    if !text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return PrivateKeyDer::from_pem_slice(&bytes).map_err(|e| of_pem(path, e));
    }
    let Some(passphrase) = passphrase else {
        return Err(io::Error::other(format!("{path}: the key is encrypted, and no password is given")));
    };
    let unknown = |e: &dyn std::fmt::Display| {
        let advice = "openssl pkcs8 -topk8 writes one that can be opened";
        io::Error::other(format!("{path}: the key is encrypted in a way that is not known here ({e}): {advice}"))
    };
    let (_, sealed) = pkcs8::SecretDocument::from_pem(&text).map_err(|e| unknown(&e))?;
    let sealed = pkcs8::EncryptedPrivateKeyInfo::try_from(sealed.as_bytes()).map_err(|e| unknown(&e))?;
    let key = sealed
        .decrypt(passphrase)
        .map_err(|e| io::Error::other(format!("{path}: the password does not open the key ({e})")))?;
    PrivateKeyDer::try_from(key.as_bytes().to_vec()).map_err(|e| io::Error::other(format!("{path}: {e}")))
}

/// Servers that can be asked in no way that the library has.
const NOTHING_FITS: &str = "the server takes no cipher, key exchange or group that is offered: TLS 1.3, or 1.2 with ECDHE, by X25519, P-256 \
or P-384 (not RSA key exchange, DHE, and with tls_verify not CBC); or \
it wants another name than it is sent (enable_sni, virtualhost)";

/// Names without the kind that the library writes around them: `DnsName("web.example")`.
fn bare(presented: &[String]) -> Vec<&str> {
    let name = |p: &String| p.find('(').map_or(0, |at| at + 1);
    presented.iter().map(|p| p.get(name(p)..).unwrap_or(p).trim_end_matches(')').trim_matches('"')).collect()
}

/// Why TLS failed: what is wrong with a certificate, or that nothing fits that is offered, in words, the rest as the library has it.
/// `chosen`: the server has taken something of what is offered.
pub fn in_words(e: Error, chosen: bool) -> io::Error {
    use rustls::AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    use rustls::CertificateError as Bad;
    use rustls::PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    use rustls::PeerMisbehaved::SignedKxWithWrongAlgorithm;
    let bad = match e {
        Error::InvalidCertificate(bad) => bad,
        Error::AlertReceived(HandshakeFailure | InsufficientSecurity) if !chosen => {
            return io::Error::other(NOTHING_FITS);
        }
        Error::AlertReceived(ProtocolVersion)
        | Error::PeerIncompatible(ServerDoesNotSupportTls12Or13 | ServerTlsVersionIsDisabledByOurConfig) => {
            return io::Error::other("the server speaks neither TLS 1.3 nor 1.2");
        }
        // In TLS 1.2 the library knows no name for what these sign with.
        Error::PeerMisbehaved(SignedKxWithWrongAlgorithm) => {
            return io::Error::other("a server with a key of this kind (RSA-PSS, Ed448) is read only with TLS 1.3");
        }
        e => return io::Error::other(e),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a key that nobody has.
    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIULxvWmYg8JXQsbvC4ahXUCW4vlJQwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRYXV0aG9yaXR5LmV4YW1wbGUwIBcNMjYxMTIxMjMxODA4WhgP
MjEyNjEwMjgyMzE4MDhaMBwxGjAYBgNVBAMMEWF1dGhvcml0eS5leGFtcGxlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJCPUsgjAYspOlg6n/63IyQfKHxc0MF9j
wsATQJYJ4PQyHTXbMMZXXVmWJi2qYl7i4XYIQwRJgmt5pHp+EFp7eKNTMFEwHQYD
VR0OBBYEFMaFjGaBkegBG/UYdrS87gSrAMNjMB8GA1UdIwQYMBaAFMaFjGaBkegB
G/UYdrS87gSrAMNjMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIg
bS01711aN4rQI87msfSPJ0kMk7MiZU7OHsVDJcgzZvgCIQCpT7RgQIVXSCXhT3pd
kastjKFK+vUgDG/IXgxXyuDZ9w==
-----END CERTIFICATE-----
";

    fn settings(name: Option<&str>, authorities: Option<String>) -> Settings {
        let (server, name) = ("192.0.2.1".parse().expect("address"), name.map(Into::into));
        Settings { server, name, proven: None, authorities, client: None, http2: false }
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let path = std::env::temp_dir().join(format!("steadfast-tls-{}", std::process::id())).display().to_string();
        let s = settings(None, Some(path.clone()));
        std::fs::write(&path, AUTHORITY).expect("file");
        let first = shared(&s).expect("authorities");
        assert!(Arc::ptr_eq(&first, &shared(&s).expect("authorities")));
        std::fs::write(&path, "no certificate").expect("file");
        assert!(shared(&s).is_err());
        std::fs::write(&path, AUTHORITY.repeat(2)).expect("file");
        assert!(!Arc::ptr_eq(&first, &shared(&s).expect("authorities")));
        std::fs::remove_file(&path).expect("file");
        assert!(shared(&s).is_err_and(|e| e.to_string().contains(&path)));
        connect(&settings(None, None)).expect("nothing is verified");
    }

    #[test]
    fn what_has_no_end_is_no_file_of_certificates() {
        let of = |path: &str| shared(&settings(None, Some(path.to_string()))).map(drop).map_err(|e| e.to_string());
        assert_eq!(of("/dev/zero"), Err("/dev/zero: it is no regular file".into()));
        assert_eq!(of("/"), Err("/: it is no regular file".into()));
        let path = std::env::temp_dir().join(format!("steadfast-large-{}", std::process::id())).display().to_string();
        std::fs::File::create(&path).and_then(|f| f.set_len(LARGEST + 1)).expect("file");
        let large = of(&path);
        std::fs::remove_file(&path).expect("file");
        assert_eq!(large, Err(format!("{path}: it is too large for a file of certificates")));
    }

    #[test]
    fn a_virtual_host_may_have_a_port() {
        let hosts = ["www.example:8443", "[2001:db8::1]:443", "10.0.0.1:443", "2001:db8::1", "www.example", "[::1]"];
        let bare = ["www.example", "2001:db8::1", "10.0.0.1", "2001:db8::1", "www.example", "::1"];
        assert_eq!(hosts.map(host), bare);
        for name in hosts.into_iter().chain(["no name-", "a b"]) {
            connect(&settings(Some(name), None)).expect(name);
        }
    }
}
