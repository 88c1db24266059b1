//! Errors on the link between a primary and its replica: signs that their data differs.

use crate::client::{Class, Client};
use crate::config::values::PropagationError;
use crate::engine::{Engine, Order};
use crate::error::Error;

impl Engine {
    /// An error on the link between a primary and its replica reaches nobody, and may mean that their data is no longer
    /// the same: the operator is to know.
    ///
    /// # Panics
    /// On a read-only replica of whose operator `propagation-error-behavior` says that it must rather not serve such data.
    #[cold]
    pub(crate) fn tell_of_divergence(&mut self, error: &Error, command: &str) {
        let class = self.clients.get(self.current).map(Client::class);
        let (us, them) = match class {
            Some(Class::Primary) => ("replica", "master"),
            Some(Class::Replica) => ("master", "replica"),
            Some(Class::Normal | Class::PubSub) | None => return,
        };
        self.stats.unexpected_errors += 1;
        let text = String::from_utf8_lossy(error.text());
        let must_end = match self.config.propagation_error_behavior {
            PropagationError::Ignore => false,
            PropagationError::Panic | PropagationError::PanicOnReplicas => self.config.replica_read_only,
        };
        assert!(
            !(must_end && class == Some(Class::Primary)),
            "This {us} panicked sending an error to its {them}: '-{text}' after processing the command '{command}' (propagation-error-behavior)"
        );
        self.orders.push(Order::Warn(format!(
            "== CRITICAL == This {us} is sending an error to its {them}: '-{text}' after processing the command '{command}'"
        )));
    }
}
