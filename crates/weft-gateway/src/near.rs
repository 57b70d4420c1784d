//! The near miss: which known name did the caller mean?

/// The known name closest to `name`, if it is close enough to be worth naming.
pub(crate) fn near_miss<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const CHARS_MAX: usize = 64;
    if name.chars().count() > CHARS_MAX {
        return None;
    }
    let most = (name.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), known));
    distances.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::near_miss;

    #[test]
    fn names_the_close_one_and_nothing_else() {
        let known = ["origin", "carrier", "window_start"];
        assert_eq!(near_miss("orgin", known), Some("origin"));
        assert_eq!(near_miss("Carrier", known), Some("carrier"));
        assert_eq!(near_miss("windowstart", known), Some("window_start"));
        assert_eq!(near_miss("tailnum", known), None);
        assert_eq!(near_miss("", known), None);
    }
}
