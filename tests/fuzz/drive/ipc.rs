//! Any bytes as a frame, as a packet of frames, or as a configuration that travelled.

/// One input.
pub fn drive(bytes: &[u8]) {
    if let Ok(envelope) = steadfast_ipc::parse(bytes) {
        assert!(steadfast_ipc::frame(&envelope).is_ok());
    }
    let parts: usize = steadfast_ipc::frames(bytes).map(<[u8]>::len).sum();
    assert_eq!(parts, bytes.len());
    let _ = steadfast_ipc::decode::<steadfast_config::Config>(bytes);
}
