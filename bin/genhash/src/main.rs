//! genhash: the MD5 digest of a page, for `digest` in HTTP_GET and SSL_GET.
#![forbid(unsafe_code)]

fn main() {
    std::process::exit(genhash::run(std::env::args_os().map(|a| a.to_string_lossy().into_owned())));
}
