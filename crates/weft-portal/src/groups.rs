//! Consumer groups: who reads, how far behind in records and in time, and whether it gets better.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{GroupPartition, GroupSeen, GroupsSeen, Waits};
use crate::chart::chart;
use crate::glance::{self, Health};
use crate::operations::tabs;
use crate::page::{Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::words::{brief, duration, encoded, grouped, plural};

/// Groups on one page.
const PER_PAGE: usize = 50;
/// Partitions shown of one group.
const PARTITIONS_SHOWN: usize = 500;
/// Members shown of one group.
const MEMBERS_SHOWN: usize = 100;

/// `GET /operations/groups?q=&page=`, and `?group=` for one.
pub(crate) async fn groups(State(portal): State<Arc<Portal>>, query: Given) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let query = pairs(query);
    let seen = portal.ask.groups();
    let asked = given(&query, "group");
    let shown = match &seen {
        None => {
            html! { p role="status" { "The groups have not been looked at yet; this takes a moment after the start." } }
        }
        Some(seen) if asked.is_empty() => {
            let at = given(&query, "page").parse().unwrap_or(1).clamp(1, 100_000);
            list(seen, &given(&query, "q"), at)
        }
        Some(seen) => match seen.groups.iter().find(|group| group.id == asked) {
            Some(group) => one(group),
            None => html! { p.problem role="alert" { "No group \"" (brief(&asked)) "\" was seen at the last look." } },
        },
    };
    let page = Page {
        place: Place::Operations,
        title: "Consumer groups".to_owned(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &[],
        main: html! {
            (tabs("/operations/groups"))
            @if let Some(error) = seen.as_ref().and_then(|seen| seen.error.as_ref()) {
                p.problem role="alert" { "The last look failed: " (brief(error)) ". What stands here is older." }
            }
            div #groups data-live { (shown) }
        },
    };
    page.respond(StatusCode::OK)
}

/// What is known of a group as a whole.
struct Sum {
    lag: u64,
    waits: Option<Waits>,
    /// Partitions that it reads without a commit.
    uncommitted: usize,
    unknown: usize,
}

fn sum(group: &GroupSeen) -> Sum {
    let partitions = group.partitions.iter();
    Sum {
        lag: partitions.clone().filter_map(GroupPartition::lag).sum(),
        waits: partitions.clone().filter_map(|one| one.waits).max_by_key(|waits| match waits {
            Waits::For(ms) | Waits::Over(ms) => *ms,
        }),
        uncommitted: partitions.clone().filter(|one| one.committed.is_none()).count(),
        unknown: partitions.filter(|one| one.committed.is_some() && one.end.is_none()).count(),
    }
}

fn kind_word(kind: &str) -> &str {
    match kind {
        "Consumer" => "consumer (KIP-848)",
        "Classic" => "classic",
        other => other,
    }
}

fn health(group: &GroupSeen) -> Health {
    match group.state.as_str() {
        "Stable" => Health::Good,
        "Empty" | "Dead" | "Unknown" => Health::Unknown,
        _ => Health::Watch,
    }
}

fn waits_word(waits: Option<Waits>, lag: Option<u64>) -> String {
    match (waits, lag) {
        (Some(Waits::For(ms)), _) => duration(i64::try_from(ms).unwrap_or(i64::MAX)),
        (Some(Waits::Over(ms)), _) => format!("over {}", duration(i64::try_from(ms).unwrap_or(i64::MAX))),
        (None, Some(0)) => "0 s".to_owned(),
        (None, _) => "not known".to_owned(),
    }
}

/// Better, worse, or neither: the newest quarter of the looks against the oldest.
fn trend_word(trend: &[u64]) -> &'static str {
    if trend.len() < 4 {
        return "not known yet";
    }
    let quarter = trend.len() / 4;
    let mean = |some: &[u64]| some.iter().sum::<u64>() as f64 / some.len() as f64;
    let (before, after) = (mean(&trend[..quarter]), mean(&trend[trend.len() - quarter..]));
    if (after - before).abs() <= 1.0_f64.max(before * 0.05) {
        "steady"
    } else if after > before {
        "rising"
    } else {
        "falling"
    }
}

fn lag_word(sum: &Sum, group: &GroupSeen) -> String {
    if sum.uncommitted == group.partitions.len() {
        return "no commit".to_owned();
    }
    let known = grouped(sum.lag);
    if sum.unknown > 0 { format!("at least {known}") } else { known }
}

fn list(seen: &GroupsSeen, words: &str, at: usize) -> Markup {
    let fitting: Vec<&GroupSeen> = seen.groups.iter().filter(|group| group.id.contains(words)).collect();
    let pages = fitting.len().div_ceil(PER_PAGE).max(1);
    let at = at.min(pages);
    let address = |page: usize| format!("/operations/groups?q={}&page={page}", encoded(words));
    html! {
        form.filters action="/operations/groups" method="get" aria-label="Find groups" {
            div.field.wide { label for="q" { "Name holds" } input id="q" type="search" name="q" value=(words) autocomplete="off"; }
            div.field { button type="submit" { "Show" } }
        }
        p.count {
            (plural(fitting.len(), "group")) @if seen.count > seen.groups.len() { ", of the first " (seen.groups.len()) " of " (seen.count) }
            @if pages > 1 { ", page " (at) " of " (pages) }
        }
        div.scroll tabindex="0" role="region" aria-label="Consumer groups" {
            table {
                caption.hidden { "Consumer groups" }
                thead { tr {
                    th scope="col" { "Group" } th scope="col" { "Protocol" } th scope="col" { "State" } th.number scope="col" { "Members" }
                    th.number scope="col" { "Records behind" } th.number scope="col" { "Time behind" } th scope="col" { "Trend" } th.number scope="col" { "Without a commit" }
                } }
                tbody {
                    @for group in fitting.iter().skip((at - 1) * PER_PAGE).take(PER_PAGE) {
                        @let sum = sum(group);
                        tr {
                            th scope="row" { a href={ "/operations/groups?group=" (encoded(&group.id)) } { (brief(&group.id)) } }
                            td { (kind_word(&group.kind)) }
                            td { (glance::pill(health(group), &group.state)) }
                            td.number { (group.members.len()) }
                            @if let Some(error) = &group.error {
                                td colspan="4" { "not known: " (brief(error)) }
                            } @else {
                                td.number { (lag_word(&sum, group)) }
                                td.number { @if sum.uncommitted == group.partitions.len() { "not known" } @else { (waits_word(sum.waits, Some(sum.lag))) } }
                                td { (trend_word(&group.trend)) }
                                td.number { @if sum.uncommitted > 0 { (plural(sum.uncommitted, "partition")) } @else { "none" } }
                            }
                        }
                    }
                }
            }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of groups" {
                @if at > 1 { a rel="prev" href=(address(at - 1)) { "← Page " (at - 1) } }
                @if at < pages { a rel="next" href=(address(at + 1)) { "Page " (at + 1) " →" } }
            }
        }
    }
}

fn one(group: &GroupSeen) -> Markup {
    let sum = sum(group);
    let trend: Vec<Option<f64>> = group.trend.iter().map(|lag| Some(*lag as f64)).collect();
    html! {
        p { a href="/operations/groups" { "All groups" } }
        div.head { h2 { (brief(&group.id)) } (glance::pill(health(group), &group.state)) }
        @if let Some(error) = &group.error { p.problem role="alert" { (brief(error)) } }
        dl.facts {
            div { dt { "Protocol" } dd { (kind_word(&group.kind)) } }
            div { dt { "Members" } dd { (group.members.len()) } }
            div { dt { "Records behind" } dd { (lag_word(&sum, group)) } }
            div { dt { "Time behind" } dd { (waits_word(sum.waits, (sum.uncommitted < group.partitions.len()).then_some(sum.lag))) } }
            div { dt { "Trend" } dd { (trend_word(&group.trend)) } }
        }
        (chart("Records behind", &trend, |lag| grouped(lag.round() as u64), "the last minutes"))
        @if !group.members.is_empty() {
            h3 { "Members" }
            ul.plain {
                @for member in group.members.iter().take(MEMBERS_SHOWN) {
                    li { (brief(&member.client_id)) " " span.note { "at " (brief(&member.host)) ", " (grouped(member.lag)) " behind" } }
                }
                @if group.members.len() > MEMBERS_SHOWN { li { "and " (group.members.len() - MEMBERS_SHOWN) " more" } }
            }
        }
        h3 { "Partitions" }
        p.note { "A partition without a commit is one where the group reads, or could, and has never said how far it is: its lag is not 0, it is unknown." }
        div.scroll tabindex="0" role="region" aria-label={ "Partitions of group " (brief(&group.id)) } {
            table {
                caption.hidden { "Partitions of group " (brief(&group.id)) }
                thead { tr {
                    th scope="col" { "Topic" } th.number scope="col" { "Partition" } th.number scope="col" { "Committed" } th.number scope="col" { "End" }
                    th.number scope="col" { "Records behind" } th.number scope="col" { "Time behind" }
                } }
                tbody {
                    @for one in group.partitions.iter().take(PARTITIONS_SHOWN) {
                        tr {
                            th scope="row" { code { (one.topic) } }
                            td.number { (one.partition) }
                            td.number { @match one.committed { Some(offset) => (offset), None => "no commit" } }
                            td.number { @match one.end { Some(end) => (end), None => "not known" } }
                            td.number { @match one.lag() { Some(lag) => (grouped(lag)), None => "not known" } }
                            td.number { (waits_word(one.waits, one.lag())) }
                        }
                    }
                }
            }
        }
        @if group.partitions.len() > PARTITIONS_SHOWN { p.note { "and " (group.partitions.len() - PARTITIONS_SHOWN) " more partitions" } }
    }
}
