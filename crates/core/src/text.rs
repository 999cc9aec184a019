//! Words for people.

use std::borrow::Cow;

const BEGINS: &str = " (os error ";

/// A text without the numbers that the library puts behind what the system says of a failure: ` (os error 111)`.
pub fn plain(text: &str) -> Cow<'_, str> {
    let Some(at) = text.find(BEGINS) else { return Cow::Borrowed(text) };
    let (head, tail) = text.split_at(at);
    let inner = tail.get(BEGINS.len()..).unwrap_or("");
    let digits = inner.find(|c: char| !c.is_ascii_digit()).unwrap_or(inner.len());
    match inner.get(digits..).and_then(|rest| rest.strip_prefix(')')) {
        Some(rest) if digits > 0 => Cow::Owned(format!("{head}{}", plain(rest))),
        _ => Cow::Owned(format!("{head}{BEGINS}{}", plain(inner))),
    }
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
    }
}
