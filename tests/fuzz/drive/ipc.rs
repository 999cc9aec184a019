//! Any bytes as a frame, or as a configuration that travelled.

/// One input.
pub fn drive(bytes: &[u8]) {
    if let Ok(envelope) = steadfast_ipc::parse(bytes) {
        assert!(steadfast_ipc::frame(&envelope).is_ok());
    }
    let _ = steadfast_ipc::decode::<steadfast_config::Config>(bytes);
}
