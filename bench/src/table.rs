//! Tables of results: medians of rounds, ratios and their spread, as Markdown or as CSV.

/// Values of one figure, one of each round.
pub type Rounds = Vec<f64>;

/// The middle value, or the mean of the two in the middle. NaN if there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 { f64::NAN } else { (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0 }
}

/// How far the rounds lie apart, as a share of the median.
pub fn spread(values: &[f64]) -> f64 {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most - least) / median(values)
}

/// The median of the rounds' quotients: both sides of a quotient were measured one after the other.
pub fn ratio(above: &[f64], below: &[f64]) -> f64 {
    let all: Rounds = above.iter().zip(below).map(|(a, b)| a / b).collect();
    median(&all)
}

/// A table that is printed at once.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with a title above it and names over its columns.
    pub fn new(title: &str, columns: &[&str]) -> Table {
        Table { title: title.to_owned(), rows: vec![columns.iter().map(|&c| c.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it.
    pub fn print(&self, csv: bool) {
        if csv {
            for (i, row) in self.rows.iter().enumerate() {
                println!("{},{}", if i == 0 { "table" } else { &self.title }, row.join(","));
            }
            return;
        }
        let columns = self.rows[0].len();
        let width = |c: usize| self.rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n### {}\n", self.title);
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(c, &w)| format!("{c:<w$}")).collect();
            println!("| {} |", cells.join(" | ").trim_end());
            if i == 0 {
                println!("|{}|", widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("|"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_rounds() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(ratio(&[2.0, 9.0, 8.0], &[1.0, 3.0, 4.0]), 2.0);
    }
}
