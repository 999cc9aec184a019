//! TLS 1.2 with AES in CBC mode, as servers of the years before AEAD have it (Windows Server 2012 R2, Java 7): RFC 5246 6.2.3.2 for the
//! records, RFC 4492 and 5289 for the suites. The library has none of them, for good reasons, and takes them from outside. They are offered
//! behind all others, and only where nothing is verified: the question there is whether the server answers, and nothing that is asked is a
//! secret. SHA-384 is missing: a key of the library has 32 bytes of room.
//!
//! ```text
//!  0            16                     16+n       16+n+m        16+n+m+p+1
//!  +------------+----------------------+----------+-------------+
//!  | vector     | content              | MAC      | padding     |   each byte of the padding is p
//!  +------------+----------------------+----------+-------------+
//!               |<------------- AES in CBC mode --------------->|   whole blocks of 16 bytes
//!
//!  MAC over:  number of the record (8) | type (1) | version (2) | n (2) | content (n)
//! ```

use aes::cipher::block_padding::NoPadding;
use aes::cipher::consts::U16;
use aes::cipher::{
    Block, BlockCipher, BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut, InnerIvInit, Key, KeyInit,
};
use aes::{Aes128, Aes256};
use ring::hmac;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm, UnsupportedOperationError,
    make_tls12_aad,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, KeyExchangeAlgorithm, ring as provided};
use rustls::{CipherSuite, ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls12CipherSuite};
use std::marker::PhantomData;
use std::sync::LazyLock;

const BLOCK: usize = 16;
/// What a MAC covers before the content. It has room where the vector was.
const HEAD: usize = 13;
/// Content of a record at most (RFC 5246 6.2.1).
const CONTENT: usize = 1 << 14;

/// The library's provider with these suites behind its own.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = provided::default_provider();
    provider.cipher_suites.extend(SUITES.iter().map(SupportedCipherSuite::Tls12));
    provider
}

static SUITES: LazyLock<Vec<Tls12CipherSuite>> = LazyLock::new(|| {
    use CipherSuite as Name;
    use provided::cipher_suite as like;
    // Who signs, the hash of the handshake, and the function that keys are made with are those of suites that the library has.
    let ecdsa = &like::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let rsa = &like::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    let suites: [(Name, &SupportedCipherSuite, &'static dyn Tls12AeadAlgorithm); 6] = [
        (Name::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ecdsa, &AES_128_SHA256),
        (Name::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, rsa, &AES_128_SHA256),
        (Name::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, ecdsa, &AES_256_SHA),
        (Name::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, rsa, &AES_256_SHA),
        (Name::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ecdsa, &AES_128_SHA),
        (Name::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, rsa, &AES_128_SHA),
    ];
    let made = |(suite, like, aead_alg): (Name, &SupportedCipherSuite, _)| {
        let SupportedCipherSuite::Tls12(like) = like else { return None };
        Some(Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite,
                hash_provider: like.common.hash_provider,
                confidentiality_limit: like.common.confidentiality_limit,
            },
            prf_provider: like.prf_provider,
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: like.sign,
            aead_alg,
        })
    };
    suites.into_iter().filter_map(made).collect()
});

static AES_128_SHA: Cbc<Aes128> = Cbc(Hash::Sha1, PhantomData);
static AES_256_SHA: Cbc<Aes256> = Cbc(Hash::Sha1, PhantomData);
static AES_128_SHA256: Cbc<Aes128> = Cbc(Hash::Sha256, PhantomData);

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// AES with a key of one length.
trait Aes: BlockCipher<BlockSize = U16> + BlockEncrypt + BlockDecrypt + KeyInit + Clone + Send + Sync + 'static {}

impl Aes for Aes128 {}
impl Aes for Aes256 {}

struct Cbc<A>(Hash, PhantomData<A>);

/// What one direction of a connection is protected with.
struct Keys<A> {
    mac: hmac::Key,
    cipher: A,
}

impl<A: Aes> Cbc<A> {
    fn keys(&self, mac: &AeadKey, cipher: &[u8]) -> Keys<A> {
        let mut key = Key::<A>::default();
        key.iter_mut().zip(cipher).for_each(|(to, from)| *to = *from);
        Keys { mac: hmac::Key::new(self.0.hmac(), mac.as_ref()), cipher: A::new(&key) }
    }
}

impl<A: Aes> Tls12AeadAlgorithm for Cbc<A> {
    /// The key material has the client's MAC key, the server's, the client's key, the server's (RFC 5246 6.3): the library cuts it as it does
    /// for its own suites, where keys and the fixed part of vectors are in these places. What comes behind is used to make vectors.
    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: self.0.hmac().digest_algorithm().output_len(),
            fixed_iv_len: A::key_size(),
            explicit_nonce_len: BLOCK,
        }
    }

    fn encrypter(&self, mac: AeadKey, cipher: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        let mut first = [0; BLOCK];
        first.iter_mut().zip(extra).for_each(|(to, from)| *to = *from);
        Box::new(Encrypter { keys: self.keys(&mac, cipher), first: u128::from_be_bytes(first) })
    }

    fn decrypter(&self, mac: AeadKey, cipher: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter(self.keys(&mac, cipher)))
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct Encrypter<A> {
    keys: Keys<A>,
    /// That which vectors are made of: nobody else knows it.
    first: u128,
}

impl<A: Aes> MessageEncrypter for Encrypter<A> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        // A number that comes once, encrypted, is a vector that nobody can foretell (RFC 5246 6.2.3.2; NIST SP 800-38A, appendix C).
        let mut vector = Block::<A>::from((self.first ^ u128::from(seq)).to_be_bytes());
        self.keys.cipher.encrypt_block(&mut vector);
        let length = message.payload.len();
        let mut record = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        record.extend_from_slice(&vector);
        record.extend_from_chunks(&message.payload);

        let mut mac = hmac::Context::with_key(&self.keys.mac);
        mac.update(&make_tls12_aad(seq, message.typ, message.version, length));
        mac.update(&record.as_ref()[BLOCK..]);
        record.extend_from_slice(mac.sign().as_ref());
        let padding = BLOCK - record.as_ref().len() % BLOCK;
        record.extend(std::iter::repeat_n(&(padding as u8 - 1), padding));

        let blocks = &mut record.as_mut()[BLOCK..];
        let length = blocks.len();
        cbc::Encryptor::inner_iv_init(self.keys.cipher.clone(), &vector)
            .encrypt_padded_mut::<NoPadding>(blocks, length)
            .map_err(|_| Error::EncryptError)?;
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, record))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        let mac = self.keys.mac.algorithm().digest_algorithm().output_len();
        BLOCK + (length + mac + 1).next_multiple_of(BLOCK)
    }
}

struct Decrypter<A>(Keys<A>);

impl<A: Aes> MessageDecrypter for Decrypter<A> {
    /// What is wrong with a record is told to nobody: whether padding or MAC were, would open others (RFC 5246 6.2.3.2).
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let mac = self.0.mac.algorithm().digest_algorithm().output_len();
        let whole = message.payload.len();
        if !whole.is_multiple_of(BLOCK) || whole < BLOCK + (mac + 1).next_multiple_of(BLOCK) {
            return Err(Error::DecryptError);
        }
        let (vector, blocks) = message.payload.split_at_mut(BLOCK);
        cbc::Decryptor::inner_iv_slice_init(self.0.cipher.clone(), vector)
            .map_err(|_| Error::DecryptError)?
            .decrypt_padded_mut::<NoPadding>(blocks)
            .map_err(|_| Error::DecryptError)?;

        // The MAC is made in any case, over all that may be content where the padding is none.
        let most = blocks.len() - mac - 1;
        let last = blocks.last().copied().unwrap_or_default();
        let longest = blocks.iter().rev().take(256).enumerate();
        let others = longest.fold(0, |others, (n, byte)| others | if n <= usize::from(last) { byte ^ last } else { 0 });
        let padded = others == 0 && usize::from(last) <= most;
        let length = most - if padded { usize::from(last) } else { 0 };

        let head = make_tls12_aad(seq, message.typ, message.version, length);
        message.payload[BLOCK - HEAD..BLOCK].copy_from_slice(&head);
        let (covered, rest) = message.payload[BLOCK - HEAD..].split_at(HEAD + length);
        let right = hmac::verify(&self.0.mac, covered, &rest[..mac]).is_ok();
        if !(padded && right) {
            return Err(Error::DecryptError);
        }
        if length > CONTENT {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(BLOCK..BLOCK + length))
    }
}

/// One input of the fuzzer: a record as it would come, and one whose blocks are these bytes after deciphering, so that padding and MAC are
/// looked at. True: something was taken for a record.
pub(super) fn drive(bytes: &[u8]) -> bool {
    let cipher: [u8; 16] = [3; 16];
    let mut decrypter = AES_128_SHA.decrypter([7; 32].into(), &cipher);
    let mut open = |record: &mut [u8]| {
        let (typ, version) = (rustls::ContentType::ApplicationData, rustls::ProtocolVersion::TLSv1_2);
        decrypter.decrypt(InboundOpaqueMessage::new(typ, version, record), 0).is_ok()
    };
    let raw = open(&mut bytes.to_vec());
    let whole = bytes.len() / BLOCK * BLOCK;
    let vector = Block::<Aes128>::from([5; BLOCK]);
    let mut record = [&vector[..], bytes.get(..whole).unwrap_or_default()].concat();
    let blocks = record.get_mut(BLOCK..).unwrap_or_default();
    let keys = AES_128_SHA.keys(&[7; 32].into(), &cipher);
    let sealed = cbc::Encryptor::inner_iv_init(keys.cipher, &vector).encrypt_padded_mut::<NoPadding>(blocks, whole);
    let made = sealed.is_ok() && open(&mut record);
    raw || made
}

#[cfg(test)]
mod tests;
