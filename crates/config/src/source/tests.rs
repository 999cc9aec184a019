use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Files in memory.
struct Memory(HashMap<PathBuf, Vec<u8>>);

impl Reader for Memory {
    fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
        let bytes = self.0.get(path).cloned().ok_or(ReadError::NotFound)?;
        if bytes.len() as u64 > most { Err(ReadError::TooLarge) } else { Ok(bytes) }
    }
    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let head = pattern.trim_end_matches("*.conf");
        let mut found: Vec<PathBuf> = self
            .0
            .keys()
            .filter(|k| k.to_string_lossy().starts_with(head) && *k != Path::new("main"))
            .cloned()
            .collect();
        found.sort();
        found
    }
    fn environment(&self, name: &str) -> Option<String> {
        (name == "SITE").then(|| "north".into())
    }
}

fn read(files: &[(&str, &str)]) -> Source {
    let files = files.iter().map(|(n, t)| (PathBuf::from(n), t.as_bytes().to_vec())).collect();
    load(Path::new("main"), &Memory(files), &Options { config_id: "me".into(), ..Default::default() })
}

/// Lines as text, words separated by `|`.
fn shown(source: &Source) -> Vec<String> {
    source
        .lines
        .iter()
        .map(|l| match l.kind {
            LineKind::Open => "{".into(),
            LineKind::Close => "}".into(),
            LineKind::Text => l.words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join("|"),
        })
        .collect()
}

#[test]
fn comments_quotes_and_braces_in_every_layout() {
    let s = read(&[("main", "a b # c\r\n! all\nx \"y # z\" w{ k v }\n}\nq \\# r\n")]);
    assert_eq!(shown(&s), ["a|b", "x|y # z|w", "{", "k|v", "}", "}", "q|#|r"]);
    assert_eq!(s.diagnostics.counted(), 0);
}

#[test]
fn columns_point_into_the_file_as_written() {
    let s = read(&[("main", "  key   value { sub 1 }\n")]);
    let columns: Vec<(u32, u32)> =
        s.lines.iter().flat_map(|l| l.words.iter().map(|w| (w.span.column, w.span.width))).collect();
    assert_eq!(columns, [(3, 3), (9, 5), (17, 3), (21, 1)]);
}

#[test]
fn variables_are_replaced_and_unknown_ones_stay() {
    let s = read(&[("main", "$A=one\n$B=${A}two\nx $A ${B}y $NOPE $A.z\ne ${_ENV SITE} $_INSTANCE $_HASH\n")]);
    assert_eq!(shown(&s), ["x|one|onetwoy|$NOPE|$A.z", "e|north|me|#"]);
}

#[test]
fn a_definition_may_span_lines() {
    let s = read(&[("main", "$BLOCK= \\\n a { \\\n b 1 \\\n }\n$BLOCK\n")]);
    assert_eq!(shown(&s), ["a", "{", "b|1", "}"]);
}

#[test]
fn conditions_keep_and_drop_lines() {
    let s = read(&[("main", "@me a\n@other b\n@^me c\n@^other d\n")]);
    assert_eq!(shown(&s), ["a", "d"]);
}

#[test]
fn repeats_make_lines() {
    let s = read(&[(
        "main",
        "~SEQ(i,1,2,5) ip 10.0.0.$i\n~SEQx(h,9,0xb) h $h\n~LST({a,b},{1,2},{3}) p $a-x ${b}\n~LST(n,u,v) n ${n}\n",
    )]);
    assert_eq!(
        shown(&s),
        ["ip|10.0.0.1", "ip|10.0.0.3", "ip|10.0.0.5", "h|9", "h|a", "h|b", "p|$a-x|2", "p|$a-x", "n|u", "n|v"]
    );
    assert!(read(&[("main", "~SEQ(i,1,0,5) x\n")]).diagnostics.counted() > 0);
}

#[test]
fn nested_repeats_multiply() {
    let s = read(&[("main", "~SEQ(a,1,2) ~SEQ(b,1,2) v ${a}${b}\n")]);
    assert_eq!(shown(&s), ["v|11", "v|12", "v|21", "v|22"]);
}

#[test]
fn includes_are_followed_and_loops_end() {
    let s = read(&[("main", "a\ninclude x.conf\nb\n"), ("x.conf", "c\n")]);
    assert_eq!(shown(&s), ["a", "c", "b"]);
    let looped = read(&[("main", "include main\n")]);
    assert!(looped.diagnostics.include_failed);
    // Each is read once, and one report names both.
    let each_other = [("main", "include d/x.conf\na\n"), ("d/x.conf", "include ../d/../main\ninclude nothing\nb\n")];
    let looped = read(&each_other);
    let said: Vec<_> = looped.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(said, ["d/x.conf and main include each other", "file 'd/nothing' does not exist"]);
    assert_eq!(shown(&looped), ["b", "a"]);
    // A definition that says when it is enough.
    let counted =
        [("main", "$N=more\n$more=end\ninclude x"), ("x", "include $N\n"), ("more", "$N=end\ninclude x"), ("end", "c")];
    let counted = read(&counted);
    assert_eq!((counted.diagnostics.counted(), shown(&counted)), (0, vec!["c".to_string()]));
    let missing = read(&[("main", "include nothing\n")]);
    assert_eq!((missing.diagnostics.exit_status(), missing.diagnostics.iter().count()), (0, 1));
    assert_eq!(read(&[("main", "includem nothing\n")]).diagnostics.exit_status(), 6);
    assert_eq!(shown(&read(&[("main", "include d/{a,b}.conf\n"), ("d/a.conf", "1"), ("d/b.conf", "2")])), ["1", "2"]);
}

/// As keepalived 2.2.7 judges each: what is there is a.conf, exe.conf (executable) and the directory dir.
#[test]
fn each_form_of_include_fails_at_what_keepalived_s_does() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("dir")).expect("folder");
    std::fs::write(at("a.conf"), "a\n").expect("file");
    std::fs::write(at("exe.conf"), "x\n").expect("file");
    std::fs::set_permissions(at("exe.conf"), std::fs::Permissions::from_mode(0o755)).expect("mode");
    // For each the forms at which the configuration is refused, of r, m, w, b and a.
    let cases = [
        ("a.conf", ""),
        ("nothing.conf", "mwa"),
        ("nodir/x", "mwa"),
        ("nodir/*", "mwa"),
        ("nothing*.conf", "wa"),
        ("[bc].conf", "wa"),
        ("no?.conf", "wa"),
        ("d*/*", "wa"),
        ("dir", "rmwba"),
        ("exe.conf", "rmwba"),
        ("ex*.conf", "rmwba"),
        ("{a,a}.conf", ""),
        ("{a}.conf", ""),
        ("{b}.conf", "ba"),
        ("{a,b}.conf", "ba"),
        ("{n,b}.conf", "ba"),
        ("{dir,a}.conf", "ba"),
        ("{dir,exe.conf}", "rmwba"),
        ("{a,b*}.conf", ""),
        ("{no*,a}.conf", ""),
        ("{no*,b}.conf", "ba"),
        ("{a,b,c*}.conf", "ba"),
        ("{b*}.conf", "wa"),
        ("{no*,yes*}.conf", "wa"),
        ("d{x,y}/*", "ba"),
        ("{dir,nodir}/*", "ba"),
    ];
    for (pattern, refused) in cases {
        for form in ["", "r", "m", "w", "b", "a"] {
            std::fs::write(at("main"), format!("include{form} {pattern}\nend\n")).expect("file");
            let source = load(&at("main"), &FsReader, &Options::default());
            let fails = !form.is_empty() && refused.contains(form);
            let said: Vec<_> = source.diagnostics.iter().map(|d| d.message.as_str()).collect();
            assert_eq!(
                source.diagnostics.exit_status(),
                if fails { 6 } else { 0 },
                "include{form} {pattern}: {said:?}"
            );
            assert_eq!(shown(&source).last().map(String::as_str), Some("end"), "include{form} {pattern}");
            // What is there is read by each, and what is not there is told by each.
            let there = ["a.conf", "{a", "{no*,a", "{dir,a"].iter().any(|p| pattern.starts_with(p));
            assert_eq!(shown(&source).first().map(String::as_str) == Some("a"), there, "include{form} {pattern}");
            assert_eq!(said.is_empty(), refused.is_empty(), "include{form} {pattern}: {said:?}");
        }
    }
}

/// From the word on, as the forms of include with a letter.
#[test]
fn include_check_says_what_a_plain_include_fails_at() {
    for (words, pattern, status) in [
        ("", "nothing.conf", 0),
        ("include_check match\n", "nothing.conf", 6),
        ("include_check match\n", "nothing*.conf", 0),
        ("include_check\n", "nothing*.conf", 6),
        ("include_check\ninclude_check -wildcard_match\n", "nothing*.conf", 0),
        ("include_check +wildcard_match -read\n", "nothing*.conf", 6),
    ] {
        let source = read(&[("main", &format!("{words}include {pattern}\n"))]);
        assert_eq!(source.diagnostics.exit_status(), status, "{words}{pattern}");
    }
    // It does not reach back.
    assert_eq!(read(&[("main", "include nothing\ninclude_check\n")]).diagnostics.exit_status(), 0);
}

#[test]
fn built_in_variables_comments_and_escapes_stand_for_what_they_are() {
    let s = read(&[
        ("main", "in $_PWD ${_PWD}/x $_BANG ${_BANG}a b$_HASH\ninclude d/e/x.conf\n"),
        ("d/e/x.conf", "in $_PWD\n"),
    ]);
    assert_eq!(s.diagnostics.counted(), 0);
    assert_eq!(shown(&s), ["in|.|./x|!|!a|b#", "in|d/e"]);
    // Escapes of a command, keepalived.conf(5): \xHH, \ooo, \cX and the letters.
    let command = r"/x \x41\x2f \101\060 \cA\cz \a\b\E\f\n\r\t\v \q";
    let words = split_command(command).expect("words");
    assert_eq!(words, ["/x", "A/", "A0", "\x01\x1a", "\x07\x08\x1b\x0c\n\r\t\x0b", "q"]);
    let s = read(&[("main", "i $_INSTANCE ${_INSTANCE}x\n@^you x\n@you z\n~SEQx(h,8,2,14) h $h\n")]);
    assert_eq!(shown(&s), ["i|me|mex", "x", "h|8", "h|a", "h|c", "h|e"]);
}

#[test]
fn random_numbers_are_within_their_bounds_and_a_seed_repeats_them() {
    let text = "random_seed 7\n$A=${_RANDOM 1 9}\n~SEQ(i,1,30) a $A $A\n~SEQ(i,1,50) r ${_RANDOM 1 9}\n~SEQ(i,1,50) s ${_RANDOM 32000}\n~SEQ(i,1,50) t \
                ${_RANDOM}\n";
    let s = read(&[("main", text)]);
    let all = shown(&s);
    let numbers = |head: &str| -> BTreeSet<u32> {
        all.iter().filter_map(|l| l.strip_prefix(head)).map(|n| n.parse().expect("number")).collect()
    };
    let within = |of: &BTreeSet<u32>, low: u32, high: u32| of.first() >= Some(&low) && of.last() <= Some(&high);
    let (nine, high, any) = (numbers("r|"), numbers("s|"), numbers("t|"));
    assert!(within(&nine, 1, 9) && within(&high, 32_000, 32_767) && within(&any, 0, 32_767), "{all:?}");
    assert!(nine.len() > 5 && high.len() > 30 && any.len() > 30, "{all:?}");
    // A definition is looked up when it is used: each use is another number.
    let twice = || all.iter().filter_map(|l| l.strip_prefix("a|")?.split_once('|'));
    assert!(twice().count() == 30 && twice().any(|(a, b)| a != b), "{all:?}");
    assert_eq!(all, shown(&read(&[("main", text)])));
    assert_ne!(all, shown(&read(&[("main", &text.replace("seed 7", "seed 8"))])));
}

/// `..` behind a link leads to where the link points, and a file by another name is the same file.
#[test]
fn a_link_followed_by_two_dots_is_another_file_and_a_link_to_itself_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("other/d")).expect("folder");
    std::os::unix::fs::symlink(at("other/d"), at("d")).expect("link");
    std::os::unix::fs::symlink(at("k.conf"), at("same.conf")).expect("link");
    std::fs::write(at("k.conf"), "a\ninclude d/../k.conf\ninclude same.conf\nb\n").expect("file");
    std::fs::write(at("other/k.conf"), "c\n").expect("file");
    let source = load(&at("k.conf"), &FsReader, &Options::default());
    assert_eq!(shown(&source), ["a", "c", "b"]);
    let said: Vec<_> = source.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(said, [format!("{} includes itself", at("k.conf").display())]);
}

#[test]
fn a_bomb_of_definitions_is_bounded() {
    let mut text = String::from("$a0=xxxxxxxxxxxxxxxxxxxx\n");
    for i in 1..40 {
        text.push_str(&format!("$a{i}=${{a{}}}${{a{}}}\n", i - 1, i - 1));
    }
    text.push_str("use $a39\n");
    let s = read(&[("main", &text)]);
    assert!(s.lines.iter().map(|l| l.raw().len()).sum::<usize>() <= 4 * EXPANDED);
}

#[test]
fn commands_are_split_like_a_shell_does() {
    assert_eq!(
        split_command(r#"/bin/x 'a b' "c d"e \x41\n f\ g"#),
        Ok(vec!["/bin/x".to_string(), "a b".into(), "c de".into(), "A\n".into(), "f g".into()])
    );
    assert_eq!(split_command("'open"), Err(CommandError::UnmatchedQuote));
}

/// Kind, words with their quotes, and text.
type Bare = (LineKind, Vec<(String, bool)>, String);

/// What a reading gives, without places. A first word that would mean something at the beginning of a line is quoted then.
fn bare(source: &Source) -> Vec<Bare> {
    let special = |text: &str| text.trim_start_matches('"').starts_with(['@', '~', '$']);
    let words = |l: &Line| {
        let quoted = |(n, w): (usize, &Word)| (w.text.to_string(), w.quoted && (n > 0 || !special(&w.text)));
        l.words.iter().enumerate().map(quoted).collect()
    };
    let raw = |l: &Line| if special(&l.raw()) { String::new() } else { l.raw().into_owned() };
    source.lines.iter().map(|l| (l.kind, words(l), raw(l))).collect()
}

#[test]
fn the_text_of_what_was_read_gives_the_same_lines_again() {
    let long = format!("script \"/bin/x {}!\" \\\\ x", "a # b\\ ".repeat(100));
    let seq = "~SEQ(n, 40) $W=${W}, 0123456789 0123456789 #\nw $W\n".replace("0 #", "0");
    let many = "$L2 ".repeat(20);
    let main = format!(
        "$A=1\n@me x $A\n@you y\ninclude more\nq \\# \\! \"#!\" \\\\\\# ${{_HASH}} $NONE ${{NONE}}\nb {{\n c {{ d }} }}\n\
         x {{ $Z=1\n}}\ny {{ @you z\n}}\n@me @you w\n~SEQ(oops\n~LST(x, a, b) l $x\nopen \"quote\nk\n{{\n}}\n\
         $L={long}\n$L2=$L $L $L $L\n$L3={many}\nl $L2\nl $L3\nl $L2 {{\n}}\n$W=w\n{seq}"
    );
    let s = read(&[("main", &main), ("more", "m $A {\n n ${_PWD} # c\n}\n")]);
    assert!(s.lines.iter().any(|l| l.raw().len() > 40 * LINE), "{:?}", s.lines.iter().map(|l| l.raw().len()).max());
    let text = text(&s.lines);
    assert!(text.contains("m 1 {\n  n .\n}\n") && !text.contains("include") && text.starts_with("x 1\n"), "{text}");
    assert!(text.lines().all(|l| l.len() <= LINE));
    let again = read(&[("main", &text)]);
    let (first, second) = (bare(&s), bare(&again));
    for (a, b) in first.iter().zip(&second) {
        let same = a.2.chars().zip(b.2.chars()).take_while(|(x, y)| x == y).count();
        let cut = |t: &str| t.chars().skip(same.saturating_sub(30)).take(60).collect::<String>();
        assert_eq!(cut(&a.2), cut(&b.2));
        assert!(a == b, "{:?}", a.2.get(..60));
    }
    assert_eq!(first.len(), second.len());
}

proptest! {
    #[test]
    fn whatever_was_read_is_the_same_when_its_text_is_read(
        main in "([a-c$@~ !#\"\\\\=\n]|\\{\n|\n\\}|include|a b){0,60}"
    ) {
        let s = read(&[("main", &main)]);
        let text = text(&s.lines);
        let again = read(&[("main", &text)]);
        prop_assert_eq!(bare(&s), bare(&again), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic_or_grow(text in "[a-z$~{}@\"'\\\\#!=(),0-9 \n\t_SEQLSTinclude]{0,400}") {
        let s = read(&[("main", &text)]);
        prop_assert!(s.lines.len() < 100_000);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let files = [(PathBuf::from("main"), bytes)].into_iter().collect();
        let _ = load(Path::new("main"), &Memory(files), &Options::default());
    }
}

/// keepalived's test passes over a main file that is not there, and fails at one that it may not read.
#[test]
fn a_main_file_that_may_not_be_read_fails_the_test_and_an_absent_one_does_not() {
    struct Closed;
    impl Reader for Closed {
        fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
            Err(ReadError::System(std::io::ErrorKind::PermissionDenied.into()))
        }
        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
        fn environment(&self, _: &str) -> Option<String> {
            None
        }
    }
    let absent = read(&[]);
    assert!(absent.unreadable);
    assert_eq!(absent.diagnostics.exit_status(), 0);
    let closed = load(Path::new("main"), &Closed, &Options::default());
    assert!(closed.unreadable);
    assert_eq!(closed.diagnostics.exit_status(), 4);
    let said: Vec<&str> = closed.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert!(said.iter().any(|m| m.starts_with("Unable to read configuration file main: ")), "{said:?}");
}

#[test]
fn a_byte_order_mark_is_named_and_the_rest_is_read() {
    let source = read(&[("main", "\u{feff}a b\ninclude more.conf\n"), ("more.conf", "\u{feff}c d\n")]);
    assert_eq!(shown(&source), ["a|b", "c|d"]);
    let marks = source.diagnostics.iter().filter(|d| d.message.contains("byte order mark"));
    assert_eq!(marks.map(|d| d.span.map(|s| s.line)).collect::<Vec<_>>(), [Some(1), Some(1)]);
    assert_eq!(source.diagnostics.exit_status(), 5);
}

#[test]
fn the_folder_and_the_exclamation_mark_have_names() {
    // `!` begins a comment; the folder is that of the file in which the name stands.
    let files = [("d/main.conf", "x ${_BANG}y $_PWD\ninclude e/x.conf\n"), ("d/e/x.conf", "z ${_PWD}/f\n")];
    let files = files.iter().map(|(n, t)| (PathBuf::from(n), t.as_bytes().to_vec())).collect();
    let s = load(Path::new("d/main.conf"), &Memory(files), &Options::default());
    let said: Vec<_> = s.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!((shown(&s), said.len()), (vec!["x|!y|d".to_string(), "z|d/e/f".into()], 0), "{said:?}");
}

#[test]
fn files_that_lie_too_deep_or_are_too_large_end_the_reading_with_a_report() {
    let names: Vec<String> = (0..=DEPTH + 1).map(|n| format!("f{n}")).collect();
    let chain = |length: usize| {
        let mut files: Vec<(String, String)> =
            (0..length).map(|n| (names[n].clone(), format!("a{n}\ninclude {}\n", names[n + 1]))).collect();
        files.push((names[length].clone(), "last\n".into()));
        files.push(("main".into(), "include f0\n".into()));
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        read(&files)
    };
    let most = chain(DEPTH - 1);
    assert_eq!((most.diagnostics.counted(), shown(&most).last().map(String::as_str)), (0, Some("last")));
    let beyond = chain(DEPTH);
    assert!(beyond.diagnostics.include_failed && !shown(&beyond).contains(&"last".into()));
    assert!(beyond.diagnostics.iter().any(|d| d.message.contains("too deeply")), "{:?}", shown(&beyond));
    // A reader that finds more than there may be.
    struct Endless;
    impl Reader for Endless {
        fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
            if path == Path::new("main") { Ok(b"include huge\n".to_vec()) } else { Err(ReadError::TooLarge) }
        }
        fn glob(&self, _: &str) -> Vec<PathBuf> {
            Vec::new()
        }
        fn environment(&self, _: &str) -> Option<String> {
            None
        }
    }
    let huge = load(Path::new("main"), &Endless, &Options::default());
    assert!(huge.diagnostics.iter().any(|d| d.message.contains("cannot include 'huge'")));
}
