//! Where dumps go.

use std::fmt::Write;
use std::path::Path;
use steadfast_config::Config;

/// Paths of dumps.
pub struct Paths {
    /// Data of the VRRP child.
    pub data: String,
    /// Data of the checker child.
    pub checker: String,
    /// Data of the BFD child.
    pub bfd: String,
    /// Data of the parent.
    pub parent: String,
    /// Counters.
    pub stats: String,
    /// JSON.
    pub json: String,
}

/// A folder in which nothing else lies, for a confined process may write to all of it; root alone may besides.
pub const OWN: &str = "/run/keepalived/dumps";

/// The folder of dumps that the configuration does not name, by the name under which the program was started and the variable TMPDIR.
/// In /tmp anybody may put something first, so they are there only for who asked: keepalived heeds the variable, too, and who starts it
/// by that name finds them where it had them.
fn folder(name: &str, variable: Option<&str>) -> String {
    let named = variable.filter(|t| t.starts_with('/')).map(|t| t.trim_end_matches('/').to_string());
    let usual = if name.rsplit('/').next() == Some("keepalived") { "/tmp" } else { OWN };
    named.unwrap_or_else(|| usual.into())
}

/// The same of this process. Roles and the program after an upgrade are started under the same name.
fn usual_folder() -> String {
    folder(&std::env::args().next().unwrap_or_default(), std::env::var("TMPDIR").ok().as_deref())
}

/// Makes the folder of dumps, where they go there: a child that has confined itself cannot.
pub fn prepare() {
    if usual_folder() == OWN
        && let Err(e) = steadfast_sys::files::make_open_folder(Path::new(OWN))
    {
        log::warn!("cannot make {OWN}, where dumps are to be: {e}");
    }
}

/// As the configuration says: each process's data are beside the main file, `_WORD` before the extension, and after it
/// `.NAMESPACE_INSTANCE` with data_use_instance.
pub fn paths(c: &Config) -> Paths {
    let g = &c.globals;
    let folder = usual_folder();
    let usual = |name: &str| format!("{folder}/{name}");
    let data = &g.state_dump_file.clone().unwrap_or_else(|| usual("keepalived.data"));
    let own: Vec<&str> =
        [&c.process.net_namespace, &c.process.instance].into_iter().flatten().map(String::as_str).collect();
    let suffix = match own.as_slice() {
        own @ [_, ..] if g.data_use_instance == Some(true) => format!(".{}", own.join("_")),
        _ => String::new(),
    };
    let of = |word: &str| beside(data, &format!("{word}{suffix}"));
    Paths {
        data: of(""),
        checker: of("_check"),
        bfd: of("_bfd"),
        parent: of("_parent"),
        stats: g.stats_dump_file.clone().unwrap_or_else(|| usual("keepalived.stats")),
        json: g.json_dump_file.clone().unwrap_or_else(|| usual("keepalived.json")),
    }
}

/// The same path with a word before the extension.
fn beside(path: &str, word: &str) -> String {
    let file = path.rfind('/').map_or(0, |at| at + 1);
    match path.get(file..).and_then(|name| name.rfind('.')) {
        Some(dot) if dot > 0 => format!("{}{word}{}", &path[..file + dot], &path[file + dot..]),
        _ => format!("{path}{word}"),
    }
}

/// The host's name, which stands for a router's id.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string()
}

/// What data dumps show of the file, and nothing else needs.
#[derive(Clone, Default)]
pub struct Written {
    router_id: String,
    /// Rows of the global definitions.
    pub globals: Vec<String>,
    /// Rows of SSL.
    ssl: Vec<String>,
    /// Of each group of virtual servers: name, whether it has IPv4 and IPv6, and its entries.
    pub groups: Vec<(String, [bool; 2], Vec<String>)>,
}

/// What is only shown is no effect of a keyword: tests look at what else is there.
impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written")
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Written) -> bool {
        true
    }
}

impl Written {
    /// Of a configuration, what every child shows.
    pub fn new(c: &Config) -> Written {
        Written {
            router_id: c.globals.router_id.clone().unwrap_or_else(host),
            globals: crate::vrrp::globals(c),
            ..Default::default()
        }
    }

    /// With what the checker alone shows: of ten thousand groups that is a lot to keep.
    pub fn with_services(self, c: &Config) -> Written {
        let ssl = c.ssl.iter().flat_map(|s| {
            [("CA-file", &s.ca), ("Certificate file", &s.certificate), ("Key file", &s.key)]
                .into_iter()
                .filter_map(|(key, path)| path.as_ref().map(|path| format!("{key} : {path}")))
        });
        let groups = c.server_groups.iter().map(|g| {
            let six =
                |six: bool| g.ranges.iter().any(|r| r.0.is_ipv6() == six) || g.marks.iter().any(|m| m.1 == Some(six));
            let ranges = g.ranges.iter().map(|(first, last, port)| match first == last {
                true => format!("VIP = {first}, VPORT = {port}"),
                false => format!("VIP Range = {first}-{last}, VPORT = {port}"),
            });
            let marks = g.marks.iter().map(|(mark, _)| format!("FWMARK = {mark}"));
            (g.name.clone(), [six(false), six(true)], ranges.chain(marks).collect())
        });
        Written { ssl: ssl.collect(), groups: groups.collect(), ..self }
    }

    /// The sections that every child's dump begins with.
    pub fn heading(&self) -> String {
        // Writing to a string cannot fail.
        let mut s = String::from("------< Global definitions >------\n");
        let _ = writeln!(s, " Router ID = {}", self.router_id);
        for row in &self.globals {
            let _ = writeln!(s, " {row}");
        }
        s
    }

    /// The section of SSL, where there is one.
    pub fn ssl(&self) -> String {
        if self.ssl.is_empty() {
            return String::new();
        }
        format!("------< SSL definitions >------\n {}\n", self.ssl.join("\n "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_in_tmp_only_for_who_asked() {
        let cases = [
            ("/usr/sbin/steadfastd", None, OWN),
            ("steadfastd", Some("relative"), OWN),
            ("/usr/sbin/keepalived", None, "/tmp"),
            ("keepalived", Some(""), "/tmp"),
            ("/opt/keepalived/steadfastd", None, OWN),
            ("steadfastd", Some("/var/tmp/"), "/var/tmp"),
            ("keepalived", Some("/var/tmp"), "/var/tmp"),
        ];
        for (name, variable, wanted) in cases {
            assert_eq!(folder(name, variable), wanted, "{name} {variable:?}");
        }
    }
}
