//! What the doors count. Other rooms append their own text by a [`MetricsHook`].

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Appends another room's metrics in OpenMetrics text, without `# EOF`.
pub type MetricsHook = Arc<dyn Fn(&mut String) + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

/// Counters of the doors, and the hooks of others.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    problems: Family<CodeLabels, Counter>,
    connections: Gauge,
    connections_stalled: Counter,
    streams: Gauge,
    hooks: Vec<MetricsHook>,
}

impl Metrics {
    pub(crate) fn new(hooks: Vec<MetricsHook>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("weft_http"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| {
                Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
            }),
            problems: Family::default(),
            connections: Gauge::default(),
            connections_stalled: Counter::default(),
            streams: Gauge::default(),
            hooks,
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests by route, method and status", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "Seconds from a request's head to its answer's head",
            metrics.seconds.clone(),
        );
        registry.register("problems", "Answers that were problems, by code", metrics.problems.clone());
        registry.register(
            "connections_max",
            "Open connections; bound by http.connections_max",
            metrics.connections.clone(),
        );
        registry.register(
            "write_stall",
            "Connections cut because the peer took nothing for http.write_stall_ms",
            metrics.connections_stalled.clone(),
        );
        registry.register("streams_max", "Open streams; bound by http.streams_max", metrics.streams.clone());
        metrics
    }

    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.seconds.get_or_create(&RouteLabels { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { route, method: known_method(method), status }).inc();
    }

    pub(crate) fn problem(&self, code: &'static str) {
        self.problems.get_or_create(&CodeLabels { code }).inc();
    }

    pub(crate) fn connection_opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    pub(crate) fn connection_stalled(&self) {
        self.connections_stalled.inc();
    }

    pub(crate) fn stream_opened(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    /// OpenMetrics text of everything.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry).expect("writing to a String does not fail");
        for hook in &self.hooks {
            hook(&mut text);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        encode_eof(&mut text).expect("writing to a String does not fail");
        text
    }
}

/// A label must not grow with what callers make up.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// Counts one open connection until dropped.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts one open stream until dropped.
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
