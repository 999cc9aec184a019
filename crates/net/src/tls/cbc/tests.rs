use super::*;
use rustls::crypto::cipher::OutboundChunks;
use rustls::{ContentType, ProtocolVersion};

fn halves<A: Aes>(cbc: &Cbc<A>) -> (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>) {
    let cipher: Vec<u8> = (0..32).collect();
    let cipher = &cipher[..A::key_size()];
    (cbc.encrypter([7; 32].into(), cipher, &[9; 16]), cbc.decrypter([7; 32].into(), cipher))
}

/// A record of the wire, without its head.
fn sealed(encrypter: &mut dyn MessageEncrypter, seq: u64, content: &[u8]) -> Vec<u8> {
    let payload = OutboundChunks::from(content);
    let (typ, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
    let record = encrypter.encrypt(OutboundPlainMessage { typ, version, payload }, seq).expect("record");
    record.encode().split_off(5)
}

fn opened(decrypter: &mut dyn MessageDecrypter, seq: u64, record: &[u8]) -> Result<Vec<u8>, Error> {
    let mut record = record.to_vec();
    let (typ, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
    decrypter.decrypt(InboundOpaqueMessage::new(typ, version, &mut record), seq).map(|m| m.payload.to_vec())
}

fn there_and_back<A: Aes>(cbc: &Cbc<A>) {
    let (mut encrypter, mut decrypter) = halves(cbc);
    for length in (0..100).chain([CONTENT - 1, CONTENT]) {
        let content: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let record = sealed(&mut *encrypter, 3, &content);
        assert_eq!(record.len(), encrypter.encrypted_payload_len(length));
        assert_eq!(opened(&mut *decrypter, 3, &record), Ok(content), "{length}");
        // Another record's place, a bit of any byte, a block less.
        assert_eq!(opened(&mut *decrypter, 4, &record), Err(Error::DecryptError));
        for at in (0..record.len()).step_by(1 + record.len() / 200) {
            let mut other = record.clone();
            other[at] ^= 0x10;
            assert_eq!(opened(&mut *decrypter, 3, &other), Err(Error::DecryptError), "{length}: {at}");
        }
        for less in [1, 16, 32, record.len()] {
            let short = record.len().saturating_sub(less);
            assert_eq!(opened(&mut *decrypter, 3, &record[..short]), Err(Error::DecryptError), "{length}: {short}");
        }
    }
    // Equal contents look different, by their vectors.
    let [first, second] = [0, 1].map(|seq| sealed(&mut *encrypter, seq, &[0; 32]));
    assert!(first.chunks(16).zip(second.chunks(16)).all(|(a, b)| a != b));
}

#[test]
fn records_come_back_whole_or_not_at_all() {
    there_and_back(&AES_128_SHA);
    there_and_back(&AES_256_SHA);
    there_and_back(&AES_128_SHA256);
}

/// A record of other making: what is before the cipher is given.
fn made(content: &[u8], padding: &[u8]) -> Vec<u8> {
    let keys = AES_128_SHA.keys(&[7; 32].into(), &(0..16).collect::<Vec<u8>>());
    let mut mac = hmac::Context::with_key(&keys.mac);
    mac.update(&make_tls12_aad(0, ContentType::ApplicationData, ProtocolVersion::TLSv1_2, content.len()));
    mac.update(content);
    let mut blocks = [content, mac.sign().as_ref(), padding].concat();
    let (vector, length) = (Block::<Aes128>::from([5; 16]), blocks.len());
    let cipher = cbc::Encryptor::inner_iv_init(keys.cipher, &vector);
    cipher.encrypt_padded_mut::<NoPadding>(&mut blocks, length).expect("whole blocks");
    [&vector[..], &blocks].concat()
}

#[test]
fn padding_may_be_longer_than_it_must_and_is_the_same_throughout() {
    let (_, mut decrypter) = halves(&AES_128_SHA);
    let mut open = |record: &[u8]| opened(&mut *decrypter, 0, record);
    // 4 bytes of content and 20 of MAC: 8 of padding, or so many blocks more.
    for more in 0..16 {
        let padding = [7 + 16 * more as u8; 256];
        assert_eq!(open(&made(b"four", &padding[..8 + 16 * more])), Ok(b"four".to_vec()), "{more}");
    }
    for padding in [[7, 7, 7, 6, 7, 7, 7, 7], [6, 7, 7, 7, 7, 7, 7, 7], [8; 8], [6; 8], [23; 8], [31; 8], [255; 8]] {
        assert_eq!(open(&made(b"four", &padding)), Err(Error::DecryptError), "{padding:?}");
    }
    // All but the last byte are the MAC's, and the byte says otherwise.
    assert_eq!(open(&made(b"eleven byte", &[0])), Ok(b"eleven byte".to_vec()));
    assert_eq!(open(&made(b"eleven byte", &[31])), Err(Error::DecryptError));
    // More than a record may have.
    let (much, padding) = (vec![0; CONTENT + 4], [7; 8]);
    assert_eq!(open(&made(&much, &padding)), Err(Error::PeerSentOversizedRecord));
}
