//! Any bytes as a mail server's side of the dialogue.

use steadfast_checkers::dialogue::{Exchange, Smtp};

/// One input.
pub fn drive(bytes: &[u8]) {
    let play = |portion| Exchange::Smtp(Smtp::new("me")).play(bytes, portion);
    let whole = play(usize::MAX);
    assert!(whole.is_some(), "the end of the stream is a verdict");
    assert_eq!(whole, play(1));
    assert_eq!(whole, play(40));
}
