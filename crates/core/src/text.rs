//! Words for people.

use std::borrow::Cow;

const BEGINS: &str = " (os error ";

/// A text without the numbers that the library puts behind what the system says of a failure: ` (os error 111)`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(BEGINS) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((head, tail)) = rest.split_once(BEGINS) {
        out.push_str(head);
        let behind = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = match behind.strip_prefix(')') {
            Some(behind) if !tail.starts_with(')') => behind,
            _ => {
                out.push_str(BEGINS);
                tail
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn the_library_s_numbers_go_and_nothing_else() {
        let refused = std::io::Error::from_raw_os_error(111);
        assert_eq!(
            plain(&format!("TCP_CHECK: {refused}; again: {refused}!")),
            "TCP_CHECK: Connection refused; again: Connection refused!"
        );
        for text in ["plain (text)", "half (os error ", "half (os error 5", "none (os error x)", "none (os error )"] {
            assert_eq!(plain(text), text);
        }
        // However often.
        assert_eq!(plain(&" (os error 7)x".repeat(1_000_000)).len(), 1_000_000);
    }
}
