//! Commands that run something: demo, run, worker, doctor, bench.

use std::path::PathBuf;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::exit::Failure;
use crate::cli::local;
use crate::cli::output::line;
use crate::cli::progress;
use crate::cli::table::Shape;
use crate::cli::table::Table;
use crate::cli::table::column;
use crate::cli::table::least;
use crate::config;
use crate::config::Config;
use crate::config::Overrides;
use crate::supervise::stop_on_signal;
use crate::telemetry::Progress;
use crate::telemetry::logs;
use crate::telemetry::logs::LogFormat;

/// Where a worker finds NATS if nobody says.
const NATS: &str = "nats://127.0.0.1:4222";

/// Setting and value, origin.
const ORIGINS: Shape =
    Shape { columns: &[least(50), column()], steps: &[(0, 30), (1, 16), (0, 16), (1, 0)] };

/// The folder's files that these workers need, and the settings that flags and variables say.
fn told(
    which: app::Which,
    service: &args::Service,
    with: &Invocation,
) -> Result<(config::Files, Overrides), Failure> {
    let named = service.config.is_some();
    let dir = service.config.clone().unwrap_or_else(|| PathBuf::from("config"));
    let mut files = config::read_dir(&dir, named)
        .map_err(|e| Failure::new(78, format!("error: {:#}", anyhow::Error::from(e))))?;
    if !matches!(which, app::Which::All | app::Which::Api) {
        // The others need no secret that these name, and may not be able to read it.
        files.subscriptions = None;
    }
    let mut overrides = Overrides { env: with.env.clone(), ..Overrides::default() };
    let flags = [
        ("data", service.data.clone()),
        ("listen", service.listen.clone()),
        ("nats.url", service.nats.clone()),
        ("open", service.open.then(|| "true".to_owned())),
        ("public_url", service.public_url.clone()),
        ("egress.allow", service.egress_allow.clone()),
        ("traces.endpoint", service.traces_endpoint.clone()),
        ("log", service.log.clone()),
        ("log_format", service.log_format.clone()),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            overrides.flags.insert(key.to_owned(), value);
        }
    }
    Ok((files, overrides))
}

fn load(service: &args::Service, with: &Invocation) -> Result<Config, Failure> {
    load_for(app::Which::All, service, with)
}

fn load_for(
    which: app::Which,
    service: &args::Service,
    with: &Invocation,
) -> Result<Config, Failure> {
    let (files, overrides) = told(which, service, with)?;
    config::load(&files, &overrides).map_err(|problems| Failure::problems(&problems))
}

/// `wirebell config show`
pub(super) fn settings(args: &args::ConfigShow, with: &Invocation) -> Result<(), Failure> {
    let (files, overrides) = told(app::Which::All, &args.service, with)?;
    let shown = config::show(files.settings.as_ref(), &overrides)
        .map_err(|problems| Failure::problems(&problems))?;
    with.output.rows(&mut Table::new(ORIGINS), &shown, |one| {
        let origin = if args.origin { format!("# {}", one.origin) } else { String::new() };
        vec![format!("{}: {}", one.key, one.value), origin]
    });
    Ok(())
}

fn start_logs(config: &Config, with: &Invocation) -> Result<(), Failure> {
    let format = if config.settings.log_json { LogFormat::Json } else { LogFormat::Text };
    let ansi =
        !with.env.contains_key("NO_COLOR") && std::io::IsTerminal::is_terminal(&std::io::stderr());
    logs::init(&config.settings.log, format, ansi)
        .map_err(|e| Failure::new(78, format!("error: {e}")))
}

/// Runs work that listens to a stop token, which a signal sets.
pub(super) async fn until_signal<F>(stop: CancellationToken, work: F) -> Result<(), Failure>
where
    F: Future<Output = anyhow::Result<()>>,
{
    tokio::select! {
        biased;
        done = work => done.map_err(Failure::from),
        failed = stop_on_signal(stop) => {
            let why = failed.err().map(|e| e.to_string()).unwrap_or_default();
            Err(Failure::new(1, format!("error: signals cannot be watched: {why}")))
        }
    }
}

pub(super) async fn run(args: args::Run, with: &Invocation) -> Result<(), Failure> {
    let config = load(&args.service, with)?;
    start_logs(&config, with)?;
    let stop = CancellationToken::new();
    let work = Box::pin(app::run(config, app::Which::All, None, stop.clone()));
    until_signal(stop, work).await
}

pub(super) async fn worker(args: args::Worker, with: &Invocation) -> Result<(), Failure> {
    let mut service = args.service;
    let which = match args.which {
        args::Which::Ingest => app::Which::Ingest,
        args::Which::Rules => app::Which::Rules,
        args::Which::Notifier => app::Which::Notifier,
        args::Which::Api => app::Which::Api,
    };
    let elsewhere = service.nats.is_some() || with.env.contains_key("WIREBELL_NATS_URL");
    if !elsewhere && load_for(which, &service, with)?.settings.nats.is_none() {
        service.nats = Some(NATS.to_owned());
    }
    let config = load_for(which, &service, with)?;
    start_logs(&config, with)?;
    let listens = service.listen.is_some() || with.env.contains_key("WIREBELL_LISTEN");
    let probes = if which != app::Which::Api && listens {
        Some(app::bind(config.settings.listen).await?)
    } else {
        None
    };
    let stop = CancellationToken::new();
    let work = Box::pin(app::run(config, which, probes, stop.clone()));
    until_signal(stop, work).await
}

pub(super) async fn demo(args: args::Demo) -> Result<(), Failure> {
    logs::init("warn", LogFormat::Text, false).map_err(|e| Failure::new(78, e))?;
    let stop = CancellationToken::new();
    if let Some(addr) = args.serve_feeds {
        let work = app::demo::serve_feeds(addr, stop.clone());
        return until_signal(stop, work).await;
    }
    let talk = |text: &str| line(text);
    until_signal(stop.clone(), app::demo::run(args.once, stop, talk)).await
}

pub(super) async fn doctor(args: args::Service, with: &Invocation) -> Result<(), Failure> {
    let config = load(&args, with)?;
    let findings = app::doctor::examine(&config).await;
    let mut failed = false;
    for finding in &findings {
        failed |= finding.level == app::doctor::Level::Bad;
        with.output.print(finding, || finding.to_string());
    }
    if failed { Err(Failure::silent(1)) } else { Ok(()) }
}

pub(super) async fn bench(args: args::bench::Bench, with: &Invocation) -> Result<(), Failure> {
    let (name, args) = match args.what {
        args::bench::BenchWhat::Match(args) => return bench_match(&args, with),
        args::bench::BenchWhat::Bus(args) => ("bus", args),
        args::bench::BenchWhat::Pipeline(args) => ("pipeline", args),
        args::bench::BenchWhat::Push(args) => return bench_push(args, with).await,
        args::bench::BenchWhat::Deliver(args) => return Box::pin(bench_deliver(args, with)).await,
    };
    let settings = app::bench::Settings {
        nats: args.place.nats,
        data: args.place.data,
        publishers: args.publishers.clamp(1, 1024),
        count: args.count,
        progress: Progress::default(),
    };
    let what = if name == "bus" { "records" } else { "articles" };
    let shown = progress::show(&settings.progress, what, with.output);
    let figures = match name {
        "bus" => app::bench::bus(settings).await?,
        _ => Box::pin(app::bench::pipeline(settings)).await?,
    };
    drop(shown);
    print_figures(&figures, with);
    Ok(())
}

fn print_figures(figures: &impl Serialize, with: &Invocation) {
    with.output.print(figures, || serde_json::to_string_pretty(figures).unwrap_or_default());
}

async fn bench_push(args: args::bench::BenchPush, with: &Invocation) -> Result<(), Failure> {
    let args::bench::Place { nats, data } = args.place;
    let (count, progress) = (Some(args.count), Progress::default());
    let _shown = progress::show(&progress, "articles", with.output);
    let settings = app::bench::Settings { nats, data, publishers: 1, count, progress };
    let figures = app::bench::push(settings).await?;
    print_figures(&figures, with);
    Ok(())
}

async fn bench_deliver(args: args::bench::BenchDeliver, with: &Invocation) -> Result<(), Failure> {
    let settings = app::bench::DeliverSettings {
        nats: args.place.nats,
        data: args.place.data,
        endpoints: args.endpoints,
        count: args.count,
        subscriptions: args.subscriptions,
        trouble: args.trouble.map(|endpoints| app::bench::Trouble {
            endpoints,
            hanging: args.hanging,
            others: args.failing,
        }),
        progress: Progress::default(),
    };
    let _shown = progress::show(&settings.progress, "webhooks", with.output);
    let figures = app::bench::deliver(settings).await?;
    print_figures(&figures, with);
    Ok(())
}

fn bench_match(args: &args::bench::BenchMatch, with: &Invocation) -> Result<(), Failure> {
    use app::bench;
    let mut articles = Vec::new();
    local::each_draft(&args.articles, |draft| articles.push(draft.article()))?;
    let mix = if args.literals { bench::Mix::Literals } else { bench::Mix::Mixed };
    let rules = match (&args.rules, args.generate) {
        (Some(path), _) => {
            let text = String::from_utf8(local::read_file(path)?)
                .map_err(|_| Failure::new(78, format!("error: {} is no UTF-8", path.display())))?;
            bench::Rules::File(path.display().to_string(), text)
        }
        (None, count) => {
            bench::Rules::Made { count: count.unwrap_or_default(), seed: args.seed, mix }
        }
    };
    let (passes, verify, progress) = (args.passes, args.verify, Progress::default());
    let _shown = progress::show(&progress, "passes", with.output);
    let settings = bench::MatchSettings { rules, passes, verify, progress };
    let figures = bench::matching(&settings, &articles)?;
    print_figures(&figures, with);
    Ok(())
}
