//! Pages as sites lay them out: the article stays, and what stands around it goes.

use wirebell::feed::Context;
use wirebell::feed::page;
use wirebell::feed::page::Page;

const PARAGRAPH: &str = "The harbour council met on Monday evening and spoke for three hours about \
    the old crane, which nobody wants to take down and nobody wants to pay for, it said later.";

/// A layout, its page, what must be kept and what must go.
struct Layout {
    name: &'static str,
    html: String,
    kept: Vec<String>,
    gone: &'static [&'static str],
}

fn read(html: &str) -> Page {
    let url = url::Url::parse("https://paper.example/news/1").unwrap();
    let now = "2024-01-10T15:20:00Z".parse().unwrap();
    page::read(html.as_bytes(), &Context { url: Some(&url), charset: None, now }).unwrap()
}

fn paragraphs(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("Part {n}. {PARAGRAPH}")).collect()
}

fn marked(parts: &[String], open: &str, close: &str) -> String {
    parts.iter().map(|part| format!("{open}{part}{close}")).collect()
}

fn framed(main: &str) -> String {
    let links = "<li><a href='/weather'>Weather page</a></li>".repeat(10);
    format!(
        "<html lang=en><head><title>Crane stays | Paper</title></head><body>\
         <div class=top><ul>{links}</ul></div>{main}\
         <div class=bottom><ul>{links}</ul><p>All rights reserved.</p></div></body></html>"
    )
}

fn live_blog() -> Layout {
    let posts: Vec<String> = (1..=6).map(|n| format!("Update {n}. {PARAGRAPH}")).collect();
    let post = |(n, text): (usize, &String)| {
        format!(
            "<article class=live-post id=post-{n}><time datetime='2024-01-10T0{n}:05:00Z'>0{n}:05</time>\
             <h3>Crane at 0{n}:05</h3><p>{text}</p><div class=share-bar><a href=#>Copy link</a></div></article>"
        )
    };
    let all: String = posts.iter().enumerate().map(|(n, text)| post((n + 1, text))).collect();
    let main = format!("<main><h1>Crane stays</h1><div class=live-feed>{all}</div></main>");
    Layout { name: "live blog", html: framed(&main), kept: posts, gone: &["Weather", "Copy link"] }
}

fn gallery() -> Layout {
    let parts = paragraphs(4);
    let picture = "<figure><img src=/1.jpg alt=Crane><figcaption>A crane in the evening sun. Photo: \
        Lark</figcaption></figure>";
    let slides = format!("<div class=gallery>{}</div>", picture.repeat(8));
    let text = marked(&parts, "<p>", "</p>");
    let main = format!("<article><h1>Crane stays</h1>{slides}{text}{slides}</article>");
    Layout { name: "gallery", html: framed(&main), kept: parts, gone: &["Photo", "Weather"] }
}

fn paywalled() -> Layout {
    let parts = paragraphs(1);
    let main = format!(
        "<article><h1>Crane stays</h1><p class=teaser>{}</p></article>\
         <div class='paywall-box'><h2>Read on with a pass</h2><p>One month for one coin. You can \
         cancel whenever you like, and your first week costs nothing at all.</p>\
         <button>Subscribe</button></div>",
        parts[0]
    );
    Layout {
        name: "paywalled stub",
        html: framed(&main),
        kept: parts,
        gone: &["Subscribe", "one coin", "Weather"],
    }
}

fn discussed() -> Layout {
    let parts = paragraphs(3);
    let comment = |n: usize| {
        format!(
            "<li class=comment><b>Reader {n}</b><p>I remember that crane well, and I would rather \
             keep it than pay for a new one, whatever the council may say about it. {n}</p></li>"
        )
    };
    let comments: String = (1..=40).map(comment).collect();
    let text = marked(&parts, "<p>", "</p>");
    let main = format!(
        "<article><h1>Crane stays</h1>{text}</article>\
         <section class=comments-area><h2>40 comments</h2><ol>{comments}</ol></section>"
    );
    Layout {
        name: "more comments than text",
        html: framed(&main),
        kept: parts,
        gone: &["I remember", "40 comments", "Weather"],
    }
}

fn soup() -> Layout {
    let parts = paragraphs(5);
    let text = marked(&parts, "<div class=x7><span>", "</span></div>");
    let side = "<div class=k2><div><a href=/a>Read this one too</a></div></div>".repeat(6);
    let main = format!(
        "<div class=a1><div class=b2><div class=c3>Crane stays</div><div class=d4>{text}</div>\
         <div class=e5>{side}</div></div></div>"
    );
    Layout {
        name: "soup of divs",
        html: framed(&main),
        kept: parts,
        gone: &["Read this", "Weather"],
    }
}

fn right_to_left() -> Layout {
    let sentence = "اجتمع مجلس الميناء مساء الاثنين وتحدث ثلاث ساعات عن الرافعة القديمة، التي لا يريد \
        أحد إزالتها ولا يريد أحد دفع ثمنها، كما قال لاحقا.";
    let parts: Vec<String> = (1..=4).map(|n| format!("{n}. {sentence}")).collect();
    let text = marked(&parts, "<p>", "</p>");
    let links = "<li><a href='/t'>حالة الطقس</a></li>".repeat(10);
    let html = format!(
        "<html lang=ar dir=rtl><head><title>الرافعة باقية</title></head><body><nav><ul>{links}</ul></nav>\
         <div class=content><h1>الرافعة باقية</h1>{text}</div><footer>جميع الحقوق محفوظة</footer></body></html>"
    );
    Layout { name: "right to left", html, kept: parts, gone: &["الطقس", "الحقوق"] }
}

fn amp() -> Layout {
    let parts = paragraphs(4);
    let text = marked(&parts, "<p>", "</p>");
    let links = "<li><a href='/weather'>Weather page</a></li>".repeat(10);
    let html = format!(
        "<!doctype html><html amp lang=en><head><meta charset=utf-8><title>Crane stays</title>\
         <link rel=canonical href=https://paper.example/news/1><style amp-boilerplate>body{{}}</style>\
         <script async src=https://cdn.example/v0.js></script></head><body>\
         <amp-sidebar id=menu layout=nodisplay><ul>{links}</ul></amp-sidebar>\
         <main><h1>Crane stays</h1><amp-img src=/1.jpg width=2 height=1></amp-img>{text}\
         <amp-ad width=1 height=1 type=x><div placeholder>Buy a boat today</div></amp-ad></main>\
         <amp-consent id=c><p>We value your privacy.</p></amp-consent></body></html>"
    );
    Layout { name: "AMP", html, kept: parts, gone: &["Weather", "privacy", "Buy a boat"] }
}

#[test]
fn the_article_of_each_layout_is_kept_and_the_rest_is_not() {
    let layouts =
        [live_blog(), gallery(), paywalled(), discussed(), soup(), right_to_left(), amp()];
    let mut wrong = Vec::new();
    for Layout { name, html, kept, gone } in layouts {
        let page = read(&html);
        for part in kept.iter().filter(|part| !page.text.contains(*part)) {
            wrong.push(format!("{name} loses {part:.40}"));
        }
        for words in gone.iter().filter(|words| page.text.contains(**words)) {
            wrong.push(format!("{name} keeps {words}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
