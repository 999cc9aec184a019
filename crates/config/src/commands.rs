//! Readers of accounts and of scripts with their arguments.

use crate::diag::{Class, meant};
use crate::model::{Script, User};
use crate::parse::Cx;
use crate::source::{Word, split_command, split_line};

impl<'a> Cx<'a> {
    /// Advice on an account that there is none of.
    fn near_account(&self, name: &str) -> Option<String> {
        meant(name, self.host.accounts().iter().map(String::as_str))
    }

    /// A user, and perhaps a group: words from `n` on.
    pub fn user(&mut self, n: usize) -> Option<User> {
        let (name, group) = (self.word(n)?, self.word(n + 1));
        let Some((uid, gid)) = self.host.user(&name.text) else {
            let (text, help) = (format!("there is no user '{}'", name.text), self.near_account(&name.text));
            self.diagnostics.push_help(Class::General, Some(name.span), text, help);
            return None;
        };
        let gid = match group {
            None => gid,
            Some(g) => match self.host.group(&g.text) {
                Some(gid) => gid,
                None => {
                    self.report_at(Class::General, g, format!("there is no group '{}'", g.text));
                    return None;
                }
            },
        };
        Some(User { uid, gid })
    }

    /// A notification script: `SCRIPT [USER [GROUP]]`, the script being one word, quoted when it has arguments. The first is kept.
    pub fn script(&mut self, v: &mut Option<Script>) {
        let Some(word) = self.value() else { return };
        if v.is_some() {
            let keyword = self.keyword().unwrap_or_default();
            self.report(Class::General, format!("{keyword} is given already, ignoring this one"));
            return;
        }
        let Some((command, rest)) = self.quoted_command(word) else { return };
        let mut user = None;
        if let Some(name) = rest.first() {
            let Some((uid, gid)) = self.host.user(name) else {
                // keepalived says nothing of it in a test.
                let text = format!("there is no user '{name}', the script is not run");
                let (at, help) = (self.word(2).unwrap_or(word).span, self.near_account(name));
                return self.diagnostics.push_help(Class::Note, Some(at), text, help);
            };
            let gid = match rest.get(1).map(|name| (name, self.host.group(name))) {
                None => gid,
                Some((_, Some(gid))) => gid,
                Some((name, None)) => {
                    let text = format!("there is no group '{name}', the script is not run");
                    return self.report_at(Class::Note, self.word(3).unwrap_or(word), text);
                }
            };
            user = Some(User { uid, gid });
        }
        *v = self.command(&command, word).map(|s| Script { user, ..s });
    }

    /// The same where there are thousands of blocks, and few of them have one.
    pub fn boxed_script(&mut self, v: &mut Option<Box<Script>>) {
        let mut script = v.take().map(|s| *s);
        self.script(&mut script);
        *v = script.map(Box::new);
    }

    /// The command of a tracker: one quoted word, or the whole line.
    pub fn command_line(&mut self, v: &mut Option<Script>) {
        let Some(word) = self.value() else { return };
        let text = self.rest_of_line();
        let first = text.split_whitespace().next().unwrap_or_default();
        *v = if first.contains(['"', '\'', '\\']) {
            let Some((command, rest)) = self.quoted_command(word) else { return };
            if let Some(more) = rest.first() {
                let text =
                    format!("'{more}' stands behind the quoted command, ignoring it: arguments belong into the quotes");
                self.report_at(Class::Note, word, text);
            }
            self.command(&command, word)
        } else {
            self.command(&text, word)
        };
    }

    /// The command of this line as one word, without its quotes and escapes, and the words that follow.
    fn quoted_command(&mut self, at: &Word) -> Option<(String, Vec<String>)> {
        let line = self.rest_of_line();
        let split = |shell| split_line(&line, shell).map(|mut w| (!w.is_empty()).then(|| (w.remove(0), w)));
        match (split(false), split(true)) {
            (Ok(Some((command, rest))), Ok(Some((text, _)))) => {
                let words = split_command(&text).unwrap_or_default();
                Some((if shell(&text, &words).is_some() { text } else { command }, rest))
            }
            (Ok(_), Ok(_)) => {
                self.report_at(Class::General, at, "the command is empty");
                None
            }
            // Of a quote that is not closed nobody knows where the command ends. A double one has been reported.
            (Err(e), _) | (_, Err(e)) => {
                if line.matches('"').count().is_multiple_of(2) {
                    self.report_at(Class::UnmatchedQuote, at, format!("command: {e}"));
                }
                None
            }
        }
    }

    /// A command. Text that only a shell understands is kept whole.
    pub fn command(&mut self, text: &str, at: &Word) -> Option<Script> {
        let argv = match split_command(text) {
            Ok(a) if !a.is_empty() => a,
            Ok(_) => {
                self.report_at(Class::General, at, "the command is empty");
                return None;
            }
            Err(e) => {
                self.report_at(Class::UnmatchedQuote, at, format!("command: {e}"));
                return None;
            }
        };
        Some(Script { shell: shell(text, &argv), text: text.to_string(), argv, user: None, line: at.span.line })
    }
}

/// The shell that a command needs, if it needs one: bash for `[[`, sh for other shell syntax or built-ins.
fn shell(text: &str, argv: &[String]) -> Option<String> {
    let first = argv.first().map(String::as_str).unwrap_or("");
    if first.starts_with('<') {
        return None;
    }
    let operators = ["&&", "||", ";", "|", ">", "$(", "`"].iter().any(|o| text.contains(o));
    let builtin =
        matches!(first, "[[" | "[" | "if" | "for" | "while" | "case" | "test" | "exit" | ":" | "!" | "{" | "(");
    let path = first.starts_with('/');
    if text.contains("[[") || text.contains("<(") {
        return Some("bash".into());
    }
    ((operators && !(path && !text.contains("&&") && !text.contains("||") && !text.contains('|')))
        || (builtin && !path))
        .then(|| "sh".into())
}
