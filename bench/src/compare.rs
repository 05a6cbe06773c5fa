//! Servers measured in turn, A B C A B C, so that all see the same machine; the median of their rounds counts.

use std::sync::atomic::AtomicUsize;

use crate::clock::{now, rate};
use crate::load::{Message, Until, round};
use crate::process::Process;

/// Connections of the load.
const CONNECTIONS: usize = 8;

/// A server, or several that work together, under load.
pub(crate) struct Subject<'a> {
    url: &'a str,
    processes: Vec<&'a Process>,
    message: Box<dyn Fn(usize) -> Message + Sync + 'a>,
    next: AtomicUsize,
}

impl<'a> Subject<'a> {
    /// Requests go to `url`; what the processes use is what they cost.
    pub(crate) fn new(
        url: &'a str,
        processes: impl IntoIterator<Item = &'a Process>,
        message: impl Fn(usize) -> Message + Sync + 'a,
    ) -> Self {
        let processes = processes.into_iter().collect();
        Self { url, processes, message: Box::new(message), next: AtomicUsize::new(0) }
    }

    async fn round(&self, until: Until) -> anyhow::Result<Figure> {
        let cpu = || self.processes.iter().map(|process| process.cpu()).sum::<anyhow::Result<_>>();
        let (before, start): (std::time::Duration, _) = (cpu()?, now());
        let answered = round(self.url, CONNECTIONS, until, &self.next, &self.message).await?;
        let per_second = rate(answered, start.elapsed());
        let microseconds = 1e6 / rate(answered, cpu()?.saturating_sub(before));
        Ok(Figure { microseconds, per_second })
    }
}

/// What a request costs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figure {
    /// Processor time of a request.
    pub(crate) microseconds: f64,
    /// Requests a second.
    pub(crate) per_second: f64,
}

impl Figure {
    fn median(rounds: &[Self]) -> Self {
        let middle = |number: fn(&Self) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(number).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self { microseconds: middle(|one| one.microseconds), per_second: middle(|one| one.per_second) }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.0} µs CPU, {:.0}/s", self.microseconds, self.per_second)
    }
}

/// The medians of so many rounds of each, after one that does not count.
pub(crate) async fn alternate<const N: usize>(
    subjects: [Subject<'_>; N],
    rounds: usize,
    until: Until,
) -> anyhow::Result<[Figure; N]> {
    let mut figures: [Vec<Figure>; N] = std::array::from_fn(|_| Vec::new());
    for number in 0..=rounds {
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            let figure = subject.round(until).await?;
            if number > 0 {
                figures.push(figure);
            }
        }
    }
    Ok(figures.map(|rounds| Figure::median(&rounds)))
}
