//! What `benchmark` prints of a test: text, one line, or CSV, laid out as `redis-benchmark` does.

use hdrhistogram::Histogram;

/// The columns of `--csv`.
pub const CSV_HEADER: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"";

/// One test's result.
pub struct Outcome<'a> {
    /// What was measured.
    pub title: &'a str,
    /// How many replies came.
    pub finished: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Latencies in microseconds.
    pub latencies: &'a Histogram<u64>,
}

impl Outcome<'_> {
    fn rps(&self) -> f64 {
        self.finished as f64 / (self.elapsed_ms.max(1) as f64 / 1000.0)
    }

    /// Average, smallest, p50, p95, p99 and greatest latency, in milliseconds.
    fn figures(&self) -> [f64; 6] {
        let h = self.latencies;
        let ms = |us: u64| us as f64 / 1000.0;
        let low = if h.is_empty() { 0 } else { h.lowest_equivalent(h.min()) };
        let at = |q: f64| ms(h.value_at_quantile(q));
        [h.mean() / 1000.0, ms(low), at(0.5), at(0.95), at(0.99), ms(h.highest_equivalent(h.max()))]
    }

    /// The row of `--csv`.
    pub fn csv(&self) -> String {
        let figures = self.figures().map(|f| format!(",\"{f:.3}\"")).concat();
        format!("\"{}\",\"{:.2}\"{figures}", self.title, self.rps())
    }

    /// The line of `-q`.
    pub fn line(&self) -> String {
        format!("{}: {:.2} requests per second, p50={:.3} msec", self.title, self.rps(), self.figures()[2])
    }

    /// The full text; `setup` are the lines that describe the test.
    pub fn text(&self, setup: &[String]) -> String {
        let h = self.latencies;
        let total = h.len();
        let mut out = format!("====== {} ======\n", self.title);
        out += &format!("  {} requests completed in {:.2} seconds\n", self.finished, self.elapsed_ms as f64 / 1000.0);
        for line in setup {
            out += &format!("  {line}\n");
        }
        out += "\nLatency by percentile distribution:\n";
        let mut row = |percent: f64, us: u64, count: u64| {
            out += &format!("{percent:.3}% <= {:.3} milliseconds (cumulative count {count})\n", us as f64 / 1000.0);
        };
        let mut before = None;
        for step in h.iter_quantiles(1) {
            let value = h.highest_equivalent(step.value_iterated_to());
            let count = h.count_between(0, value);
            if before != Some(count) || count == total {
                row(step.quantile_iterated_to() * 100.0, value, count);
            }
            before = Some(count);
        }
        out += "\nCumulative distribution of latencies:\n";
        let mut row = |percent: f64, us: u64, count: u64| {
            out += &format!("{percent:.3}% <= {:.3} milliseconds (cumulative count {count})\n", us as f64 / 1000.0);
        };
        // Steps of 0.1 ms, and beyond 2 ms, where more would be noise, of 1 ms.
        let (mut level, mut next, mut step) = (99, 199, 100);
        let mut before = None;
        loop {
            let value = h.highest_equivalent(level);
            let count = h.count_between(0, value);
            if before != Some(count) || count == total {
                row(count as f64 / total.max(1) as f64 * 100.0, value, count);
            }
            if count == total {
                break;
            }
            before = Some(count);
            if value > 2000 {
                step = 1000;
            }
            (level, next) = (next, next + step);
        }
        let names = ["avg", "min", "p50", "p95", "p99", "max"].map(|n| format!(" {n:>9}")).concat();
        let figures = self.figures().map(|f| format!(" {f:>9.3}")).concat();
        out += &format!(
            "\nSummary:\n  throughput summary: {:.2} requests per second\n  latency summary (msec):\n",
            self.rps()
        );
        out += &format!("   {names}\n   {figures}\n");
        out
    }
}
