//! "Did you mean": the known word nearest to a wrong one.

/// The nearest of `known`, if it is near enough that a slip of the finger explains it.
pub fn near_miss<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 4);
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wrong_plain = plain(wrong);
    known
        .into_iter()
        .map(|known| (distance(&wrong_plain, &plain(known)), known))
        // One letter is as near to any other as to the right one.
        .filter(|(distance, _)| *distance <= limit && *distance < wrong_plain.chars().count())
        .min()
        .map(|(_, known)| known)
}

/// `did you mean "x"?`, or a list of what there is.
pub fn suggest(wrong: &str, known: &[&str]) -> String {
    const SHOWN_MAX: usize = 12;
    if let Some(near) = near_miss(wrong, known.iter().copied()) {
        return format!("did you mean \"{near}\"?");
    }
    match known {
        [] => String::new(),
        _ if known.len() <= SHOWN_MAX => format!("known here: {}", known.join(", ")),
        _ => format!("known here: {}, … ({} in all)", known[..SHOWN_MAX].join(", "), known.len()),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours between two short texts.
fn distance(a: &str, b: &str) -> usize {
    const CHARS_MAX: usize = 80;
    let a: Vec<char> = a.chars().take(CHARS_MAX).collect();
    let b: Vec<char> = b.chars().take(CHARS_MAX).collect();
    let mut rows: Vec<Vec<usize>> = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}
