use super::*;

/// A teller whose FIFO is not open yet, after so many lines.
fn waiting(lines: u64) -> Teller {
    let mut t = Teller::default();
    t.late.insert("/new/fifo".into(), Lines::default());
    (1..=lines).for_each(|n| t.line(&format!("INSTANCE \"V{n}\" MASTER 100\n")));
    t
}

/// What the successor of such a process is told and has for its FIFO.
fn successor(lines: u64) -> (u64, Vec<String>) {
    let mut first = waiting(lines);
    let said = first.waiting().into_iter();
    let mut kept: Vec<_> =
        said.filter_map(|m| if let Message::Keep { key, bytes } = m { Some((key, bytes)) } else { None }).collect();
    kept.sort();
    let mut next = Teller::default();
    assert!(kept.iter().all(|(key, bytes)| next.inherit(key, bytes)));
    let late = next.late.remove(Path::new("/new/fifo")).unwrap_or_default();
    (late.lost, late.waiting.into_iter().map(|(_, line)| line).collect())
}

#[test]
fn the_states_of_a_thousand_instances_wait_for_a_fifo_that_a_successor_opens() {
    let (lost, lines) = successor(1000);
    assert_eq!((lost, lines.len()), (0, 1000));
    assert_eq!((&*lines[0], &*lines[999]), ("INSTANCE \"V1\" MASTER 100\n", "INSTANCE \"V1000\" MASTER 100\n"));
}

#[test]
fn the_newest_lines_wait_and_whoever_opens_the_fifo_knows_how_many_were_lost() {
    let (lost, lines) = successor(5000);
    assert_eq!((lost, lines.len()), (5000 - LINES as u64, LINES));
    assert_eq!(lines.last().map(String::as_str), Some("INSTANCE \"V5000\" MASTER 100\n"));
    assert_eq!(lines.first().map(String::as_str), Some("INSTANCE \"V905\" MASTER 100\n"));
}
