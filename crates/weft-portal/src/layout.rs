//! Where the boxes of the mesh graph stand. Pure and deterministic: the same mesh is the same picture.
//!
//! ```text
//!            layer 0      layer 1      layer 2        x: how far from the sources
//!   ops     ┌────────┐
//!   lane    │ flights│──┐                            y: one lane per domain, so that a domain is one region
//!           └────────┘  │  ┌────────┐                   whatever reads what
//!   insights            └─►│ delays │
//!   lane                   └────────┘
//! ```
//! Edges run from left to right except where products read each other in a ring; a ring is cut at one place.

use std::collections::BTreeMap;

/// Size of things. Pixels of the picture.
pub(crate) const BOX_WIDTH: i32 = 204;
pub(crate) const BOX_HEAD: i32 = 44;
pub(crate) const BOX_LINE: i32 = 20;
const LAYER_GAP: i32 = 132;
const BOX_GAP: i32 = 16;
const LANE_HEAD: i32 = 34;
const LANE_FOOT: i32 = 14;
const LANE_GAP: i32 = 12;
const MARGIN: i32 = 16;

/// A box to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its lane; boxes of one lane stand together.
    pub(crate) lane: String,
    /// Lines below its head: ports.
    pub(crate) lines: usize,
    /// Boxes that it reads, by their position in the list.
    pub(crate) reads: Vec<usize>,
}

/// Where a box stands: its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spot {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) height: i32,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) y: i32,
    pub(crate) height: i32,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) width: i32,
    pub(crate) height: i32,
    /// In the order of the items.
    pub(crate) spots: Vec<Spot>,
    /// From top to bottom.
    pub(crate) lanes: Vec<Lane>,
}

/// Places every box.
pub(crate) fn layout(items: &[Item]) -> Layout {
    let layers = layers(items);
    let mut spots = vec![Spot::default(); items.len()];
    let mut lanes = Vec::new();
    let mut y = MARGIN;
    for name in lane_order(items, &layers) {
        let mut bottom = y + LANE_HEAD;
        for layer in 0..=layers.iter().copied().max().unwrap_or(0) {
            let mut members: Vec<usize> =
                (0..items.len()).filter(|at| layers[*at] == layer && items[*at].lane == name).collect();
            // Beside what they read, where that stands already: fewer lines cross.
            members.sort_by_key(|at| (middle(&items[*at], &spots), *at));
            let mut top = y + LANE_HEAD;
            for at in members {
                let lines = i32::try_from(items[at].lines).unwrap_or(i32::MAX / 1_000);
                let height = BOX_HEAD + lines * BOX_LINE + if lines > 0 { 8 } else { 0 };
                let layer = i32::try_from(layer).expect("fewer layers than products");
                spots[at] = Spot { x: MARGIN * 2 + layer * (BOX_WIDTH + LAYER_GAP), y: top, height };
                top += height + BOX_GAP;
            }
            bottom = bottom.max(top - BOX_GAP);
        }
        let height = bottom + LANE_FOOT - y;
        lanes.push(Lane { name, y, height });
        y += height + LANE_GAP;
    }
    let right = spots.iter().map(|spot| spot.x + BOX_WIDTH).max().unwrap_or(BOX_WIDTH);
    Layout { width: right + 2 * MARGIN, height: y - LANE_GAP + MARGIN, spots, lanes }
}

/// Mean height of what a box reads; boxes that read nothing stand first.
fn middle(item: &Item, spots: &[Spot]) -> i32 {
    let placed: Vec<i32> = item
        .reads
        .iter()
        .map(|at| spots[*at])
        .filter(|spot| spot.height > 0)
        .map(|spot| spot.y + spot.height / 2)
        .collect();
    if placed.is_empty() { 0 } else { placed.iter().sum::<i32>() / i32::try_from(placed.len()).unwrap_or(1) }
}

/// The longest way from a source to each box.
fn layers(items: &[Item]) -> Vec<usize> {
    let mut layers: Vec<Option<usize>> = vec![None; items.len()];
    let mut on_the_way = vec![false; items.len()];
    for start in 0..items.len() {
        // A stack of our own: a chain may be longer than a thread's.
        let mut stack = vec![(start, 0_usize)];
        while let Some((at, next)) = stack.pop() {
            if layers[at].is_some() {
                continue;
            }
            on_the_way[at] = true;
            if let Some(read) = items[at].reads.get(next).copied() {
                stack.push((at, next + 1));
                // What is on the way already reads this box: the ring is cut here.
                if layers[read].is_none() && !on_the_way[read] {
                    stack.push((read, 0));
                }
                continue;
            }
            let before = items[at].reads.iter().filter_map(|read| layers[*read]).max();
            layers[at] = Some(before.map_or(0, |before| before + 1));
            on_the_way[at] = false;
        }
    }
    layers.into_iter().map(|layer| layer.unwrap_or(0)).collect()
}

/// Domains near the sources first, then by name, so that the picture reads from the upper left to the lower right.
fn lane_order(items: &[Item], layers: &[usize]) -> Vec<String> {
    let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (item, layer) in items.iter().zip(layers) {
        let (sum, count) = sums.entry(&item.lane).or_default();
        *sum += layer;
        *count += 1;
    }
    let mut order: Vec<(usize, &str)> =
        sums.into_iter().map(|(lane, (sum, count))| (sum * 1_000 / count.max(1), lane)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, lane)| lane.to_owned()).collect()
}
