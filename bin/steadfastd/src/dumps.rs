//! Where dumps go.

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

/// As the configuration says: each process's data are beside the main file, `_WORD` before the extension, and after it
/// `.NAMESPACE_INSTANCE` with data_use_instance.
pub fn paths(c: &Config) -> Paths {
    let g = &c.globals;
    // keepalived heeds this variable, too.
    let folder = std::env::var("TMPDIR").ok().filter(|t| t.starts_with('/')).unwrap_or_else(|| "/tmp".into());
    let usual = |name: &str| format!("{}/{name}", folder.trim_end_matches('/'));
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
