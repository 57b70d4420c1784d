//! The table of figures, with the limit beside each figure that has one.

use std::fmt;

/// What a figure must keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    None,
    /// Ours alone.
    AtMost(f64),
    /// Ours divided by the peer's.
    AtMostOfPeer(f64),
    /// Ours divided by the peer's.
    AtLeastOfPeer(f64),
}

#[derive(Debug)]
struct Row {
    what: String,
    weft: f64,
    peer: Option<f64>,
    unit: &'static str,
    limit: Limit,
}

/// Rows of figures in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// A figure of ours alone.
    pub(crate) fn add(&mut self, what: &str, weft: f64, unit: &'static str, limit: Limit) {
        self.0.push(Row { what: what.to_owned(), weft, peer: None, unit, limit });
    }

    /// A figure of ours and the peer's.
    pub(crate) fn compare(&mut self, what: &str, weft: f64, peer: f64, unit: &'static str, limit: Limit) {
        self.0.push(Row { what: what.to_owned(), weft, peer: Some(peer), unit, limit });
    }

    /// The rows that miss their limit.
    pub(crate) fn missed(&self) -> Vec<String> {
        let miss = |row: &&Row| {
            let ratio = row.peer.map(|peer| row.weft / peer);
            match row.limit {
                Limit::None => false,
                Limit::AtMost(limit) => row.weft > limit,
                Limit::AtMostOfPeer(limit) => ratio.is_some_and(|ratio| ratio > limit),
                Limit::AtLeastOfPeer(limit) => ratio.is_some_and(|ratio| ratio < limit),
            }
        };
        self.0.iter().filter(miss).map(ToString::to_string).collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = match self.limit {
            Limit::None => String::new(),
            Limit::AtMost(limit) => format!("≤ {limit}"),
            Limit::AtMostOfPeer(limit) => format!("≤ {limit} × peer"),
            Limit::AtLeastOfPeer(limit) => format!("≥ {limit} × peer"),
        };
        let (peer, ratio) = match self.peer {
            Some(peer) => (format!("{peer:.1}"), format!("{:.2}", self.weft / peer)),
            None => (String::new(), String::new()),
        };
        write!(
            f,
            "| {:<44} | {:>10.1} | {peer:>10} | {ratio:>7} | {:<7} | {limit:<14} |",
            self.what, self.weft, self.unit
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| {:<44} | {:>10} | {:>10} | {:>7} | {:<7} | {:<14} |",
            "", "Weft", "Kafka", "ratio", "unit", "limit"
        )?;
        writeln!(
            f,
            "|{}|{}:|{}:|{}:|{}|{}|",
            "-".repeat(46),
            "-".repeat(11),
            "-".repeat(11),
            "-".repeat(8),
            "-".repeat(9),
            "-".repeat(16)
        )?;
        for row in &self.0 {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Table};

    #[test]
    fn a_limit_is_on_ours_or_on_the_ratio() {
        let mut table = Table::default();
        table.compare("produce", 300.0, 200.0, "MB/s", Limit::AtLeastOfPeer(2.0));
        table.compare("memory", 40.0, 900.0, "MB", Limit::AtMostOfPeer(0.1));
        table.compare("start", 90.0, 9.0, "ms", Limit::AtMost(100.0));
        table.add("first answer", 2500.0, "ms", Limit::AtMost(2000.0));
        table.add("cpu", 9.0, "s", Limit::None);
        let missed = table.missed();
        assert_eq!(missed.len(), 2, "{missed:?}");
        assert!(missed[0].contains("produce") && missed[1].contains("first answer"));
    }
}
