//! steadfastd: virtual addresses by VRRP, watched by a parent that cannot be confused by what it does not read.
#![forbid(unsafe_code)]

mod child;
mod cli;
mod loader;
mod parent;
mod vrrp;

fn main() {
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    std::process::exit(match cli::parse(&arguments) {
        cli::Request::Print(text, status) => {
            eprint!("{text}");
            status
        }
        cli::Request::Number(number) => {
            println!("{number}");
            0
        }
        cli::Request::Test(options) => loader::test(&options),
        cli::Request::Role(role, options) => match role.as_str() {
            "loader" => loader::run(&options),
            "vrrp" => vrrp::run(&options),
            "checker" => child::checker(&options),
            _ => 1,
        },
        cli::Request::Daemon(options) => parent::run(options),
    });
}
