//! Small charts, drawn on the server: a line over the last minutes, with its largest and newest value in words.

use maud::{Markup, html};

const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 48.0;
/// Most points of a line; more are not to be told apart.
const POINTS: usize = 150;

/// A series with gaps where nothing is known. `word` says a value, `span` how long the series is.
pub(crate) fn chart(title: &str, series: &[Option<f64>], word: impl Fn(f64) -> String, span: &str) -> Markup {
    let series = thinned(series);
    let known: Vec<f64> = series.iter().copied().flatten().collect();
    let (Some(newest), false) = (known.last(), known.len() < 2) else {
        return html! { figure.chart { figcaption { (title) } p.note { "Not enough samples yet." } } };
    };
    let largest = known.iter().copied().fold(0.0, f64::max);
    let said = format!("{title}: {} now, at most {} in {span}", word(*newest), word(largest));
    html! {
        figure.chart {
            figcaption { (title) " " strong { (word(*newest)) } }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) width=(WIDTH) height=(HEIGHT) role="img" aria-label=(said) preserveAspectRatio="none" {
                @for path in paths(&series, largest) { path d=(path) {} }
            }
            p.note { "at most " (word(largest)) " in " (span) }
        }
    }
}

/// Every so many values their largest: a peak stays visible.
fn thinned(series: &[Option<f64>]) -> Vec<Option<f64>> {
    let step = series.len().div_ceil(POINTS).max(1);
    let largest = |some: &[Option<f64>]| some.iter().copied().flatten().reduce(f64::max);
    series.chunks(step).map(largest).collect()
}

/// One path for each stretch without a gap.
fn paths(series: &[Option<f64>], largest: f64) -> Vec<String> {
    let across = (series.len().max(2) - 1) as f64;
    let mut paths: Vec<String> = Vec::new();
    let mut is_open = false;
    for (at, value) in series.iter().enumerate() {
        let Some(value) = value else {
            is_open = false;
            continue;
        };
        let x = at as f64 / across * WIDTH;
        let y = HEIGHT - 3.0 - if largest > 0.0 { value / largest * (HEIGHT - 6.0) } else { 0.0 };
        match paths.last_mut().filter(|_| is_open) {
            Some(path) => path.push_str(&format!(" L{x:.1} {y:.1}")),
            None => paths.push(format!("M{x:.1} {y:.1}")),
        }
        is_open = true;
    }
    paths
}
