//! Questions about the host that a configuration asks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use steadfast_core::Secret;

/// More than a file with a key ever has.
const LARGEST_KEY: usize = 256;

/// What a script path is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScriptFile {
    /// There is no such file.
    Missing,
    /// It cannot be executed.
    NotExecutable,
    /// It can be executed; others than root may change the named part of its path.
    Insecure(String),
    /// It can be executed, and only root may change it.
    Good(PathBuf),
}

/// A file with a key in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyFile {
    /// It cannot be read, and why.
    Unreadable(String),
    /// Others than its owner may read or write it: its mode.
    Open(u32),
    /// What is in it.
    Good(Secret),
}

/// What parsing needs to know of the machine.
pub trait Host {
    /// `Some(true)` for a loopback interface, `None` when there is none of this name.
    fn interface(&self, name: &str) -> Option<bool>;
    /// Names of links that there are, for suggestions.
    fn links(&self) -> Vec<String> {
        Vec::new()
    }
    /// Names of accounts, for suggestions.
    fn accounts(&self) -> Vec<String> {
        Vec::new()
    }
    /// The greatest packet of a link, in bytes, where that is known.
    fn mtu(&self, _name: &str) -> Option<usize> {
        None
    }
    /// There is a link of this name that is none of those that a virtual router has (macvlan, ipvlan).
    fn foreign_link(&self, _name: &str) -> bool {
        false
    }
    /// User and primary group of an account, by name or number.
    fn user(&self, name: &str) -> Option<(u32, u32)>;
    /// A group by name or number.
    fn group(&self, name: &str) -> Option<u32>;
    /// What a script's first word is: a path, or a name searched in PATH.
    fn script(&self, word: &str) -> ScriptFile;
    /// Why others than root could put another file into this place; the file need not be there.
    fn exchangeable(&self, _path: &str) -> Option<String> {
        None
    }
    /// The program that a script's first line names, where it is absent, with the carriage return that it may end with.
    fn absent_interpreter(&self, _word: &str) -> Option<String> {
        None
    }
    /// A number in one of iproute2's tables ("rt_tables", "rt_scopes", "rt_protos") in the first of these directories that has it.
    fn table(&self, directories: &[String], table: &str, name: &str) -> Option<u32>;
    /// Whether a host name has an address.
    fn resolves(&self, name: &str) -> bool;
    /// The path without symbolic links, but for those that stay within their folder, whose names a program may go by.
    fn resolved(&self, _path: &str) -> Option<String> {
        None
    }
    /// Our user.
    fn own_user(&self) -> (u32, u32);
    /// Reads a key from a file.
    fn key_file(&self, _path: &Path) -> KeyFile {
        KeyFile::Unreadable("there is no such file".into())
    }
    /// There is a network namespace of this name.
    fn network_namespace(&self, _name: &str) -> bool {
        true
    }
    /// Where the service manager puts credentials (systemd.exec(5), `LoadCredential=`).
    fn credentials(&self) -> Option<PathBuf> {
        None
    }
}

/// The machine itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

fn entry(file: &str, name: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file).ok()?;
    let fields = |l: &str| l.split(':').map(str::to_string).collect::<Vec<_>>();
    let number = name.parse::<u32>().is_ok();
    text.lines().map(fields).find(|f| f.get(if number { 2 } else { 0 }).is_some_and(|x| x == name))
}

/// Where a program is: by its path, or the first of this name in PATH.
pub fn program(word: &str) -> Option<PathBuf> {
    if word.contains('/') {
        return Some(word.into());
    }
    let path =
        std::env::var("PATH").unwrap_or_else(|_| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    use std::os::unix::fs::PermissionsExt;
    let runs = |p: &PathBuf| p.metadata().is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    let found = || path.split(':').map(|d| Path::new(d).join(word)).filter(|p| p.is_file());
    // As execvp, which goes on where one cannot be executed.
    found().find(runs).or_else(|| found().next())
}

/// Most links on the way to a file, as the kernel.
pub const LINKS: usize = 40;

/// What is said of a path with more of them.
pub fn too_many_links(path: &Path) -> String {
    format!("'{}' has too many links", path.display())
}

/// Whether anybody but root could change what is at this place of a path, or put something else there, by its owner, its group and its mode
/// (st_mode). Of a link the owner counts: what it leads to is looked at by itself.
pub fn changeable(place: &Path, (owner, group): (u32, u32), mode: u32) -> Option<String> {
    // As in stat(2): kind, folder, link.
    const KIND: u32 = 0o170_000;
    const FOLDER: u32 = 0o040_000;
    const LINK: u32 = 0o120_000;
    let sticky = mode & KIND == FOLDER && mode & 0o1000 != 0;
    let why = if owner != 0 {
        "is not owned by root"
    } else if mode & KIND == LINK {
        return None;
    } else if mode & 0o002 != 0 && !sticky {
        "is writable by everybody"
    } else if mode & 0o020 != 0 && group != 0 && !sticky {
        "is writable by its group"
    } else {
        return None;
    };
    Some(format!("'{}' {why} (mode {:04o})", place.display(), mode & 0o7777))
}

/// Whether anybody but root could put another file into this place: by the file itself, a folder above it, or a link on the way. The
/// file need not be there: who may write to its folder could put it there in a moment.
pub fn exchangeable(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    use std::path::Component;
    let names = |path: &Path| {
        let all = path.components().rev().map(|c| c.as_os_str().to_os_string());
        all.collect::<Vec<_>>()
    };
    let mut todo = names(&std::path::absolute(path).ok()?);
    let (mut here, mut links) = (PathBuf::new(), 0);
    while let Some(name) = todo.pop() {
        match Path::new(&name).components().next() {
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            Some(_) => {}
        }
        let next = here.join(&name);
        let Ok(m) = std::fs::symlink_metadata(&next) else {
            // Where everybody may put files of his own, one that is not there yet is his to put there.
            let folder = std::fs::symlink_metadata(&here).ok()?;
            return changeable(&here, (folder.uid(), folder.gid()), folder.mode() & !0o1000);
        };
        if let Some(why) = changeable(&next, (m.uid(), m.gid()), m.mode()) {
            return Some(why);
        }
        if !m.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Some(too_many_links(path));
        }
        let Ok(target) = std::fs::read_link(&next) else { continue };
        if target.is_absolute() {
            here = PathBuf::new();
        }
        todo.extend(names(&target));
    }
    None
}

/// Words of a shell after which a command follows, and programs that start the one that follows.
#[rustfmt::skip]
const LEADING: &[&str] = &[
    "if", "then", "elif", "else", "while", "until", "do", "time", "!", "exec", "command", "eval", "builtin", ".", "source",
    "env", "nohup", "nice", "ionice", "chrt", "taskset", "timeout", "setsid", "sudo", "doas", "runuser", "stdbuf", "xargs",
];

/// Shells: the text behind an option with a `c` in it is a command.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "zsh"];

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// An option by which a shell takes a text (`-c`, `-ec`, `-lc`).
fn takes_text(option: &str) -> bool {
    option.starts_with('-') && !option.starts_with("--") && option.contains('c')
}

/// The text that these words have a shell run.
pub fn shell_text(argv: &[String]) -> Option<&str> {
    let (first, rest) = argv.split_first()?;
    let at = rest.iter().position(|w| !w.starts_with(['-', '+'])).unwrap_or(rest.len());
    let takes = |w: &String| w == "-c" || SHELLS.contains(&base(first)) && takes_text(w);
    rest.get(..at)?.iter().any(takes).then(|| rest.get(at)).flatten().map(String::as_str)
}

/// The text without what separates nothing because it stands in single quotes; but a text that another shell is given stays.
fn unquoted(text: &str) -> String {
    let (mut quoted, mut double, mut out) = (None, false, String::with_capacity(text.len()));
    for c in text.chars() {
        match c {
            '\'' if !double => {
                let another = ["-c", "eval"].iter().any(|w| out.trim_end().ends_with(w));
                quoted = if quoted.is_some() { None } else { Some(!another) };
            }
            '"' if quoted.is_none() => double = !double,
            c if quoted == Some(true) && (ENDS.contains(c) || "<>".contains(c)) => {
                out.push(' ');
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// What ends a command.
const ENDS: &str = ";|&(){}`\n";

/// Why a shell that runs this text as root might start what others than root could exchange: programs that it names by a path. What stands
/// where a command does counts even while it is no program: it could be one in a moment. Of other words those count that are programs.
pub fn unsafe_shell_text(host: &dyn Host, text: &str) -> Option<String> {
    // What input and output go to is no command: each has a mark of its own.
    let text = unquoted(text).replace(">&", ">").replace("<&", "<").replace("&>", ">").replace(['<', '>'], " > ");
    let (mut begins, mut open) = (true, 0usize);
    for part in text.split_inclusive(|c: char| ENDS.contains(c)) {
        let end = part.chars().next_back().filter(|c| ENDS.contains(*c));
        let part = part.trim_end_matches(|c: char| ENDS.contains(c));
        let (mut command, mut redirected, mut shell) = (begins, false, false);
        for word in part.split(|c: char| c.is_whitespace() || "\"'$,".contains(c)).filter(|w| !w.is_empty()) {
            if word == ">" {
                redirected = true;
                continue;
            }
            if shell && takes_text(word) {
                command = true;
                continue;
            }
            shell = (shell && word.starts_with('-')) || (command && SHELLS.contains(&base(word)));
            let leads = |w: &str| LEADING.contains(&base(w));
            // Options and figures belong to the word before them, and a variable may be set first.
            let variable = word.split_once('=').filter(|(name, _)| !name.contains('/'));
            let beside = std::mem::take(&mut redirected)
                || word.starts_with(['-', '+'])
                || word.starts_with(|c: char| c.is_ascii_digit())
                || variable.is_some();
            // Where one leads that is not absolute only the shell knows.
            let is_command = command && !beside && word.starts_with('/');
            for word in word.split('=').filter(|w| w.contains('/')) {
                let why = match host.script(word) {
                    ScriptFile::Insecure(why) => Some(why),
                    _ if is_command => host.exchangeable(word),
                    _ => None,
                };
                if why.is_some() {
                    return why;
                }
            }
            command = command && (beside || leads(word));
        }
        begins = match end {
            Some('(') => {
                open += 1;
                true
            }
            // Behind a parenthesis that was not opened: a pattern of `case`.
            Some(')') => {
                let pattern = open == 0;
                open = open.saturating_sub(1);
                pattern
            }
            // The end of a variable's name, as of a block.
            Some('}') => false,
            _ => true,
        };
    }
    None
}

/// The links of our network namespace, which /sys need not show. Read once: a large configuration asks often.
fn links() -> &'static [String] {
    static LINKS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    LINKS.get_or_init(|| {
        let list = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
        list.lines().filter_map(|l| l.split_once(':')).map(|(n, _)| n.trim().to_string()).collect()
    })
}

impl Host for SystemHost {
    fn links(&self) -> Vec<String> {
        links().to_vec()
    }
    fn accounts(&self) -> Vec<String> {
        let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        text.lines().filter_map(|l| Some(l.split_once(':')?.0.to_string())).collect()
    }
    fn network_namespace(&self, name: &str) -> bool {
        Path::new("/run/netns").join(name).exists()
    }
    fn interface(&self, name: &str) -> Option<bool> {
        if name.contains('/') || name.is_empty() || name == "." || name == ".." {
            return None;
        }
        // ARPHRD_LOOPBACK
        let loopback = || {
            name == "lo"
                || std::fs::read_to_string(format!("/sys/class/net/{name}/type")).is_ok_and(|t| t.trim() == "772")
        };
        links().iter().any(|l| l == name).then(loopback)
    }

    fn mtu(&self, name: &str) -> Option<usize> {
        self.interface(name)?;
        std::fs::read_to_string(Path::new("/sys/class/net").join(name).join("mtu")).ok()?.trim().parse().ok()
    }

    fn foreign_link(&self, name: &str) -> bool {
        let at = |name: &str| Path::new("/sys/class/net").join(name);
        // One that cannot be looked at is not doubted: what /sys shows may be another network namespace.
        let other_view = || links().iter().any(|l| !at(l).exists());
        // Bridges, bonds and VLANs say what they are; of the others those have a link below.
        let other_type = |text: &str| {
            text.lines().filter_map(|l| l.strip_prefix("DEVTYPE=")).any(|kind| !matches!(kind, "macvlan" | "ipvlan"))
        };
        let below = || {
            let mut entries = at(name).read_dir().into_iter().flatten().flatten();
            entries.any(|e| e.file_name().to_string_lossy().starts_with("lower_"))
        };
        self.interface(name).is_some()
            && !other_view()
            && std::fs::read_to_string(at(name).join("uevent")).is_ok_and(|text| other_type(&text) || !below())
    }

    fn user(&self, name: &str) -> Option<(u32, u32)> {
        let e = entry("/etc/passwd", name)?;
        Some((e.get(2)?.parse().ok()?, e.get(3)?.parse().ok()?))
    }

    fn group(&self, name: &str) -> Option<u32> {
        entry("/etc/group", name)?.get(2)?.parse().ok()
    }

    fn script(&self, word: &str) -> ScriptFile {
        use std::os::unix::fs::PermissionsExt;
        let Some(path) = program(word) else { return ScriptFile::Missing };
        let Ok(real) = std::fs::canonicalize(&path) else { return ScriptFile::Missing };
        let Ok(metadata) = std::fs::metadata(&real) else { return ScriptFile::Missing };
        if !metadata.is_file() {
            return ScriptFile::NotExecutable;
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return ScriptFile::NotExecutable;
        }
        if let Some(why) = exchangeable(&path) {
            return ScriptFile::Insecure(why);
        }
        ScriptFile::Good(real)
    }

    fn exchangeable(&self, path: &str) -> Option<String> {
        exchangeable(Path::new(path))
    }

    fn absent_interpreter(&self, word: &str) -> Option<String> {
        use std::io::Read;
        // As much of the first line as the kernel looks at.
        let mut first = Vec::new();
        let path = program(word)?;
        std::fs::metadata(&path).ok().filter(|m| m.is_file())?;
        std::fs::File::open(path).ok()?.take(256).read_to_end(&mut first).ok()?;
        let text = String::from_utf8_lossy(&first);
        // To the kernel a carriage return is a part of the name.
        let name = text.strip_prefix("#!")?.split('\n').next()?.split([' ', '\t']).find(|w| !w.is_empty())?;
        (!Path::new(name).exists()).then(|| name.to_string())
    }

    fn table(&self, directories: &[String], table: &str, name: &str) -> Option<u32> {
        // Beside each file there may be a directory of more (rt_tables.d/*.conf).
        let files = directories.iter().flat_map(|d| {
            let more = std::fs::read_dir(format!("{d}/{table}.d")).into_iter().flatten().flatten().map(|e| e.path());
            let mut more: Vec<PathBuf> =
                more.filter(|p| p.extension().is_some_and(|e| e == "conf")).take(1000).collect();
            more.sort();
            std::iter::once(PathBuf::from(format!("{d}/{table}"))).chain(more)
        });
        files.into_iter().find_map(|file| {
            let text = std::fs::read_to_string(file).ok()?;
            text.lines().find_map(|l| {
                let mut words = l.split('#').next()?.split_whitespace();
                let number = words.next()?;
                if words.next()? != name {
                    return None;
                }
                number.strip_prefix("0x").map_or_else(|| number.parse().ok(), |h| u32::from_str_radix(h, 16).ok())
            })
        })
    }

    fn resolved(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        let real = std::fs::canonicalize(path).ok()?;
        let folder = std::fs::canonicalize(path.parent()?).ok()?;
        let found = if real.parent() == Some(&folder) { folder.join(path.file_name()?) } else { real };
        found.to_str().map(String::from)
    }

    fn resolves(&self, name: &str) -> bool {
        use std::net::ToSocketAddrs;
        (name, 25).to_socket_addrs().is_ok_and(|mut a| a.next().is_some())
    }

    fn own_user(&self) -> (u32, u32) {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self").map_or((0, 0), |m| (m.uid(), m.gid()))
    }

    fn key_file(&self, path: &Path) -> KeyFile {
        use std::io::Read;
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let read = || {
            // a FIFO must not hold us up (O_NONBLOCK)
            let file = std::fs::OpenOptions::new().read(true).custom_flags(0o4000).open(path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(KeyFile::Unreadable("it is no file".into()));
            }
            // systemd's credentials are readable by their group, which nobody is in, through an access list
            let mode = metadata.permissions().mode() & 0o7777;
            let ours = self.credentials().is_some_and(|d| path.starts_with(d));
            if mode & 0o077 != 0 && !(ours && mode & 0o037 == 0) {
                return Ok(KeyFile::Open(mode));
            }
            let mut bytes = Vec::with_capacity(LARGEST_KEY);
            file.take(LARGEST_KEY as u64).read_to_end(&mut bytes)?;
            Ok(KeyFile::Good(Secret::new(bytes)))
        };
        read().unwrap_or_else(|e: std::io::Error| KeyFile::Unreadable(e.to_string()))
    }

    fn credentials(&self) -> Option<PathBuf> {
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }
}

/// A machine made of lists, for tests.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    /// Interfaces; empty means that every one exists.
    pub interfaces: Vec<String>,
    /// Every interface exists.
    pub all_interfaces: bool,
    /// The greatest packet of every link.
    pub mtu: Option<usize>,
    /// Links that are there, and are no virtual ones.
    pub foreign_links: Vec<String>,
    /// Accounts.
    pub users: HashMap<String, (u32, u32)>,
    /// Every script exists.
    pub all_scripts: bool,
    /// Network namespaces that are not there.
    pub absent_namespaces: Vec<String>,
    /// Every file of a key, and every credential, exists.
    pub all_keys: bool,
}

impl Host for FakeHost {
    fn links(&self) -> Vec<String> {
        self.interfaces.clone()
    }
    fn accounts(&self) -> Vec<String> {
        self.users.keys().cloned().chain(["root".to_string(), "nobody".into()]).collect()
    }
    fn network_namespace(&self, name: &str) -> bool {
        !self.absent_namespaces.iter().any(|n| n == name)
    }
    fn interface(&self, name: &str) -> Option<bool> {
        ((self.all_interfaces && !name.contains('$')) || name == "lo" || self.interfaces.iter().any(|i| i == name))
            .then_some(name == "lo")
    }
    fn mtu(&self, _name: &str) -> Option<usize> {
        self.mtu
    }
    fn foreign_link(&self, name: &str) -> bool {
        self.foreign_links.iter().any(|l| l == name)
    }
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        if matches!(name, "root" | "nobody" | "daemon" | "haproxy" | "nginx") {
            Some((0, 0))
        } else {
            self.users.get(name).copied()
        }
    }
    fn group(&self, name: &str) -> Option<u32> {
        self.user(name).map(|u| u.1)
    }
    fn script(&self, word: &str) -> ScriptFile {
        // Programs of the system are there in any case.
        let system = ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"].iter().any(|d| word.starts_with(d));
        let bare = word.rsplit('/').next().unwrap_or(word);
        if self.all_scripts
            || ((system || !word.contains('/')) && !["sudo", "check_rvip", "amphora-health-checker"].contains(&bare))
        {
            ScriptFile::Good(PathBuf::from(word))
        } else {
            ScriptFile::Missing
        }
    }
    fn table(&self, _: &[String], _: &str, name: &str) -> Option<u32> {
        match name {
            "main" => Some(254),
            "local" => Some(255),
            "default" => Some(253),
            _ => None,
        }
    }
    fn resolves(&self, name: &str) -> bool {
        name == "localhost"
    }
    fn own_user(&self) -> (u32, u32) {
        (0, 0)
    }
    fn key_file(&self, _: &Path) -> KeyFile {
        if self.all_keys {
            KeyFile::Good(Secret::new(vec![7; 32]))
        } else {
            KeyFile::Unreadable("there is no such file".into())
        }
    }
    fn credentials(&self) -> Option<PathBuf> {
        self.all_keys.then(|| "/credentials".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn a_link_in_somebodys_folder_is_his_to_exchange_wherever_it_leads() {
        let folder = tempfile::tempdir().expect("folder");
        let his = folder.path().join("his");
        std::fs::create_dir(&his).expect("folder");
        let link = his.join("check");
        symlink("/bin/true", &link).expect("link");
        let word = link.to_str().expect("path");
        let ours = matches!(SystemHost.script(word), ScriptFile::Good(_));
        if chown(&his, Some(65534), Some(65534)).is_err() {
            println!("SKIPPED: a folder of somebody else (only root can make one)");
            return;
        }
        assert!(ours, "{:?}", SystemHost.script(word));
        assert!(matches!(SystemHost.script(word), ScriptFile::Insecure(_)), "{:?}", SystemHost.script(word));
        // The same one step further, and in the text of a shell.
        let other = folder.path().join("other");
        symlink(&link, &other).expect("link");
        assert!(matches!(SystemHost.script(other.to_str().expect("path")), ScriptFile::Insecure(_)));
        let program = his.join("program");
        std::fs::write(&program, "#!/bin/sh\n").expect("file");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("mode");
        for text in ["X || true", "cat /etc/hosts | X -a", "a=$(X)", "test -e /x && X;"] {
            let text = text.replace('X', program.to_str().expect("path"));
            assert!(unsafe_shell_text(&SystemHost, &text).is_some(), "{text}");
        }
        assert_eq!(unsafe_shell_text(&SystemHost, "[[ -f /etc/keepalived/down ]] && exit 1 || /bin/true"), None);
        for text in [
            "exec 2>/dev/null; pgrep x",
            "curl -s http://127.0.0.1/health 2>/dev/null | grep -q ok",
            "$DIR/bin/x",
            "test $((a/b)) = 1",
        ] {
            assert_eq!(unsafe_shell_text(&SystemHost, text), None);
        }
        // What is no program yet, or not there, is one as soon as he likes; what a program reads is no program.
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let absent = his.join("absent");
        for file in [&program, &absent] {
            let fill = |text: &str| text.replace('X', file.to_str().expect("path"));
            let runs = [
                "bash -c 'true; X'",
                "/bin/sh -c 'X && true'",
                "sh -ec 'X | cat'",
                "timeout 2 /bin/bash -l -c X",
                "{ X; }",
                "f() { X; }; f",
                "case $1 in start) X;; esac",
                "echo `X`",
                "X",
                "true && X -a",
                "A=1 X",
                "if X; then",
                "timeout 5 nice -n 10 X",
                "a=$(X)",
                ". X",
                "/usr/bin/env A=b X",
            ];
            for text in runs.map(fill) {
                assert!(unsafe_shell_text(&SystemHost, &text).is_some(), "{text}");
            }
            for text in [
                "test -f X",
                "grep -q up X",
                "/bin/true --file=X",
                "/bin/true < X",
                "exec 2>X",
                "exec >X 2>&1",
                "/bin/true 2>&1 X",
                "for f in X; do true; done",
            ]
            .map(fill)
            {
                assert_eq!(unsafe_shell_text(&SystemHost, &text), None);
            }
        }
    }

    #[test]
    fn the_text_of_a_shell_is_found_among_its_words() {
        let text = |words: &str| {
            let argv: Vec<String> = words.split(' ').map(str::to_string).collect();
            shell_text(&argv).map(str::to_string)
        };
        for words in ["/bin/sh -c X", "bash -ec X a", "sh -e -c X", "dash -c -e X", "su -c X"] {
            assert_eq!(text(words).as_deref(), Some("X"), "{words}");
        }
        for words in ["/bin/sh X -c", "bash -e X", "/opt/check -ec X", "sh --rcfile X", "sh", "sh -c"] {
            assert_eq!(text(words), None, "{words}");
        }
    }

    #[test]
    fn what_is_absent_is_everybodys_where_everybody_may_put_files() {
        let folder = tempfile::tempdir().expect("folder");
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).expect("folder");
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o1777)).expect("mode");
        if SystemHost.own_user().0 != 0 {
            println!("SKIPPED: a folder of root's (only root can make one)");
            return;
        }
        let check = shared.join("check");
        assert!(exchangeable(&check).is_some_and(|why| why.contains("writable by everybody")));
        assert!(exchangeable(&shared.join("none/check")).is_some());
        std::fs::write(&check, "").expect("file");
        assert_eq!(exchangeable(&check), None, "nobody else may take it away");
        assert_eq!(exchangeable(&folder.path().join("none/check")), None);
    }
}
