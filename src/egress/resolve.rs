//! Names to addresses: the system's resolver, or a table that tests write.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hickory_resolver::ResolverBuilder;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::config::NameServerConfig;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Longest time for one name.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time an answer is kept, so that changes bite.
const MAX_TTL: Duration = Duration::from_secs(300);
/// Most answers kept.
const CACHE: u64 = 4_096;

/// Resolves names. Cheap to clone.
#[derive(Clone)]
pub enum Resolver {
    /// Asks servers, those of the system if nothing else was said.
    System(Box<TokioResolver>),
    /// The system has no resolver; every name fails with these words.
    Missing(Arc<str>),
    /// A table that can be rewritten while it is used.
    Table(Arc<Mutex<HashMap<String, Vec<IpAddr>>>>),
}

impl Resolver {
    /// The system's resolver. Where its configuration cannot be read, names fail one by one and
    /// literal addresses still work.
    pub fn system() -> Self {
        Self::built(TokioResolver::builder_tokio().and_then(|builder| limited(builder).build()))
    }

    /// A resolver that asks one server, over UDP.
    pub fn asking(server: SocketAddr) -> Self {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let provider = TokioRuntimeProvider::default();
        Self::built(limited(TokioResolver::builder_with_config(config, provider)).build())
    }

    fn built<E: std::fmt::Display>(built: Result<TokioResolver, E>) -> Self {
        match built {
            Ok(resolver) => Self::System(Box::new(resolver)),
            Err(e) => Self::Missing(format!("the system's resolver cannot be set up: {e}").into()),
        }
    }

    /// A table of names and addresses.
    pub fn table(entries: &[(&str, &[IpAddr])]) -> Self {
        let table = entries.iter().map(|(name, addrs)| ((*name).to_owned(), addrs.to_vec()));
        Self::Table(Arc::new(Mutex::new(table.collect())))
    }

    /// Rewrites an entry of a table; the system's resolver is left alone.
    pub fn set(&self, name: &str, addrs: &[IpAddr]) {
        if let Self::Table(table) = self {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.insert(name.to_owned(), addrs.to_vec());
        }
    }

    /// Every address of a name, within 3 s.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = match self {
            Self::System(resolver) => {
                // A final dot keeps the search domains of this machine out of it; a name without
                // a domain is opened by the operator and may need them.
                let dotted = if name.contains('.') { format!("{name}.") } else { name.to_owned() };
                let answer = tokio::time::timeout(TIMEOUT, resolver.lookup_ip(dotted)).await;
                let answer = answer.map_err(|_| format!("no answer within {TIMEOUT:?}"))?;
                answer.map_err(|e| e.to_string())?.iter().collect()
            }
            Self::Missing(why) => return Err(why.to_string()),
            Self::Table(table) => {
                let table = table.lock().unwrap_or_else(PoisonError::into_inner);
                table.get(name).cloned().unwrap_or_default()
            }
        };
        if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
    }
}

/// Limits on time and memory, whatever the machine's own settings are.
fn limited(
    mut builder: ResolverBuilder<TokioRuntimeProvider>,
) -> ResolverBuilder<TokioRuntimeProvider> {
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = CACHE;
    options.positive_max_ttl = Some(MAX_TTL);
    options.negative_max_ttl = Some(Duration::from_secs(30));
    options.timeout = TIMEOUT / 2;
    options.attempts = 1;
    builder
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System(_) => "Resolver::System",
            Self::Missing(_) => "Resolver::Missing",
            Self::Table(_) => "Resolver::Table",
        })
    }
}
