//! stub
#[derive(Debug, Clone, Default)]
pub struct Metrics;
pub const METRICS_CONTENT_TYPE: &str = "text/plain";
pub struct Measure;
impl Measure {
    pub fn finish(
        self,
        _: coder_core::Timestamp,
        _: &'static str,
        _: &'static str,
        _: &http::Method,
        _: u16,
    ) {
    }
}
impl Metrics {
    pub fn new() -> Self {
        Self
    }
    pub fn start(&self, _: coder_core::Timestamp) -> Measure {
        Measure
    }
    pub fn authentication_failed(&self, _: coder_core::Code) {}
    pub fn rate_limited(&self, _: &'static str) {}
    pub fn idempotent_replay(&self, _: &'static str) {}
    pub fn render(&self) -> String {
        String::new()
    }
}
