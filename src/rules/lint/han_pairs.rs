//! Han characters that have a simplified and a traditional form, as far as news speaks in them.
//!
//! A table of our own of the frequent pairs: it serves a warning, so a character that is missing
//! costs a hint and no match, and a whole conversion library would weigh more than the rules.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Simplified and traditional, two by two; neither is written in the other form's texts.
const PAIRS: &str = "\
国國发發战戰会會关關图圖广廣气氣湾灣对對军軍飞飛机機弹彈导導报報袭襲击擊车車轮輪长長门門问問闻聞间間闪閃闭閉开開\
来來东東两兩严嚴丧喪个個丰豐临臨为為举舉义義乌烏乐樂乔喬习習乡鄉书書买買乱亂争爭亏虧亚亞产產亲親亿億仅僅从從仑侖\
仓倉仪儀们們价價众眾优優伙夥伞傘伟偉传傳伤傷伦倫伪偽侠俠侣侶侥僥侦偵侧側侨僑债債倾傾偿償储儲儿兒党黨兰蘭兴興养養\
兽獸冈岡册冊写寫农農决決况況冻凍净淨减減凤鳳凭憑凯凱划劃刘劉则則刚剛创創删刪别別刹剎剂劑剑劍剧劇劝勸办辦务務动動\
励勵劲勁劳勞势勢勋勳区區医醫华華协協单單卖賣卢盧卫衛厂廠厅廳历歷厉厲压壓厌厭厕廁县縣参參双雙变變叙敘叶葉号號\
叹嘆吓嚇吕呂吗嗎听聽启啟吴吳员員呜嗚咏詠响響哑啞哗嘩唤喚啸嘯喷噴团團园園围圍圆圓圣聖场場坏壞块塊坚堅坛壇坝壩坟墳\
坠墜垄壟垒壘垦墾垫墊堕墮墙牆壮壯声聲壳殼处處备備复復够夠头頭夹夾夺奪奋奮奖獎妆妝妇婦妈媽娱娛婴嬰孙孫学學宁寧宝寶\
实實宠寵审審宪憲宫宮宽寬宾賓寝寢寻尋寿壽将將尔爾尘塵尝嘗尧堯尽盡层層届屆属屬岁歲岂豈岛島岭嶺峡峽崭嶄巩鞏币幣帅帥\
师師帐帳帘簾带帶帮幫庄莊庆慶库庫应應庙廟庞龐废廢异異弃棄张張弥彌弯彎归歸当當录錄彻徹径徑忆憶忧憂怀懷态態怜憐总總\
恋戀恒恆恳懇恶惡恼惱悬懸惊驚惧懼惨慘惩懲惯慣愤憤慑懾戏戲户戶扑撲执執扩擴扫掃扬揚扰擾抚撫抛拋抢搶护護担擔拟擬拥擁\
拦攔择擇挂掛挟挾挡擋挣掙挤擠挥揮捞撈损損捡撿换換据據掳擄掷擲摄攝摆擺摇搖撑撐敌敵数數斋齋断斷无無时時旷曠昙曇晋晉\
显顯晓曉暂暫术術杀殺杂雜权權条條杨楊极極构構枪槍柜櫃标標栈棧栋棟栏欄树樹样樣桥橋档檔梦夢检檢楼樓横橫欢歡欧歐歼殲\
残殘毁毀毕畢毙斃汇匯汉漢汤湯沟溝没沒沦淪沧滄沪滬泪淚泽澤洁潔浅淺浆漿测測济濟浓濃涂塗涛濤润潤涨漲渊淵渐漸渔漁温溫\
湿濕溃潰滚滾满滿滤濾滥濫滨濱滩灘潜潛灭滅灯燈灵靈灾災炉爐炼煉炽熾点點烂爛烟煙烦煩烧燒热熱爱愛爷爺牵牽牺犧状狀犹猶\
独獨狭狹狮獅狱獄猎獵献獻环環现現玛瑪电電画畫畅暢疗療疯瘋痒癢瘫癱盖蓋盗盜监監盘盤矿礦码碼砖磚确確碍礙祸禍离離\
种種积積称稱稳穩穷窮窃竊竞競笔筆筑築签簽简簡粮糧紧緊纠糾红紅约約级級纪紀纬緯纯純纲綱纳納纵縱纷紛纸紙纹紋纽紐线線\
练練组組细細织織终終绍紹经經结結绕繞绘繪给給络絡绝絕统統继繼绩績绪緒续續维維绵綿综綜绿綠缅緬缆纜编編缓緩缔締缘緣\
缩縮缴繳网網罗羅罚罰罢罷职職联聯聪聰肃肅肤膚胁脅胜勝脑腦脚腳脱脫脸臉舰艦舱艙艳艷艺藝节節苏蘇苹蘋范範茧繭荐薦荡蕩\
荣榮药藥莱萊莲蓮获獲营營萧蕭蓝藍虑慮虽雖虾蝦蚀蝕蚁蟻蛮蠻补補衬襯装裝见見观觀规規视視览覽觉覺触觸誉譽计計订訂\
认認讨討让讓训訓议議讯訊记記讲講许許论論设設访訪证證评評识識诈詐诉訴诊診词詞译譯试試诗詩诚誠话話诞誕询詢该該详詳\
语語误誤说說请請诸諸诺諾读讀课課谁誰调調谈談谋謀谎謊谓謂谢謝谣謠谱譜谴譴贝貝负負贡貢财財责責败敗货貨质質贩販贪貪\
贫貧购購贯貫贵貴贷貸贸貿费費贺賀贼賊资資赋賦赌賭赏賞赔賠赖賴赛賽赞贊赢贏赵趙赶趕跃躍践踐踪蹤轨軌转轉软軟轰轟轴軸\
载載较較辅輔辆輛辈輩辉輝辐輻输輸辖轄边邊达達迁遷过過运運还還这這进進远遠违違连連迟遲适適选選递遞逻邏遗遺邓鄧邮郵\
邻鄰郑鄭释釋针針钉釘钓釣钢鋼钥鑰钱錢钻鑽铁鐵铃鈴铅鉛铜銅铝鋁银銀铺鋪链鏈销銷锁鎖锋鋒错錯锡錫键鍵锯鋸镇鎮镜鏡闯闖\
闲閑闷悶阁閣阅閱阔闊队隊阳陽阴陰阵陣阶階际際陆陸陈陳险險随隨隐隱难難雾霧霉黴静靜页頁顶頂项項顺順须須顾顧顿頓预預\
领領颇頗频頻题題颜顏额額风風饭飯饮飲饰飾饱飽饼餅馆館馈饋马馬驰馳驱驅驳駁驶駛驻駐驾駕骂罵骄驕骑騎骗騙骚騷鱼魚鲁魯\
鲜鮮鸟鳥鸡雞鸣鳴鸭鴨鹰鷹麦麥黄黃齐齊齿齒龙龍龟龜绳繩纤纖尸屍圆圓吨噸亩畝厢廂层層岗崗嘱囑惫憊悯憫杰傑发髮轻輕驿驛体體万萬旧舊虫蟲蚕蠶战戰蒋蔣厦廈虚虛";

/// Traditional forms whose simplified one is written in traditional texts as well, for other words.
const ONE_WAY: &str = "\
台臺台颱后後里裡里裏干乾干幹面麵云雲系係系繫斗鬥几幾制製周週松鬆表錶谷穀丑醜准準冲衝冲沖征徵致緻采採岳嶽只隻\
游遊卷捲布佈占佔并並并併台檯向嚮志誌回迴困睏升昇托託注註舍捨秋鞦千韆吁籲御禦朱硃欲慾折摺仆僕";

/// Traditional forms that Japanese no longer writes.
const NOT_JAPANESE: &str = "\
國發戰會關圖廣氣灣對擊來兩嚴個豐舉亂爭虧亞產從眾傳黨蘭興獸寫決凍淨劃剎劑劍勸辦勵勞勳區醫單賣廠廳歷壓廁縣參雙變敘號啟吳團\
圍圓墮牆聲殼處夠夾獎妝學寶實將爾嘗盡屬歲峽鞏帶幫莊龐廢彌彎歸當錄徑懷總戀恆惡惱戲戶擴拋擔擇擋擠撈撿據擺搖數齋斷晉顯曉雜權\
條樣檔檢樓橫歡殘匯沒滄淚澤淺濟濕滿濱潛燈靈爐點燒犧狀獨狹獵獻畫癢盜稱穩竊簽經繪絕繼續綠緬緣聰腦腳脫臉艷藝榮藥萊營蕭雖蠻裝\
覽覺觸譽讓證譯說讀謊謠贊贏趙趕踐蹤轉輕邊這遲遞邏鄧鄰鄭釋鑰錢鑽鐵鋁鋪鏈險隨隱靜顏驅驛騷魯雞黃齊齒龜繩臺颱裡麵係鬥週後";

/// Simplified forms that Japanese writes as well.
const JAPANESE_TOO: &str = "国会来学数体声区写万点旧当号医参双尽宝献乱争党断条径将寿属潜湿称窃虫蚕装触誉乐点麦温没状独画区团寝楼";

/// Forms that only Japanese writes.
const ONLY_JAPANESE: &str = "\
対戦発竜亜悪圧囲壱隠栄営衛駅円塩応桜価壊拡覚観勧関巻歓気帰犠拠挙強郷勲駆径恵渓経継軽鶏芸欠県倹剣険圏検権顕験厳効広\
鉱黒済砕剤雑桟賛残糸児辞実舎釈収従渋獣縦処叙奨焼証条乗浄剰畳縄譲醸嘱触図粋酔穂随髄枢瀬斉専浅践銭繊禅双壮捜荘総蔵臓\
続堕帯滞択沢単団遅昼鋳聴鎮転伝稲徳届弐悩脳覇廃拝売髪抜蛮秘仏払変辺弁歩豊沖毎満黙訳薬預揺様謡頼覧両猟緑塁齢労楼";

/// The simplified form of traditional characters.
static SIMPLIFIED: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    let pairs = pairs(PAIRS).chain(pairs(ONE_WAY));
    pairs.filter(|(simple, full)| simple != full).map(|(simple, full)| (full, simple)).collect()
});

/// The usual traditional form of characters that are simplified.
static TRADITIONAL: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
    let mut forms = HashMap::new();
    for (simple, full) in pairs(PAIRS).filter(|(simple, full)| simple != full) {
        forms.entry(simple).or_insert(full);
    }
    // What stands for both in traditional texts says nothing about the form.
    pairs(ONE_WAY).for_each(|(simple, _)| {
        forms.remove(&simple);
    });
    forms
});

fn pairs(table: &'static str) -> impl Iterator<Item = (char, char)> {
    let chars: Vec<char> = table.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs: Vec<(char, char)> =
        chars.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    pairs.into_iter()
}

/// The simplified form of a traditional character that has another one.
pub(super) fn simplified(c: char) -> Option<char> {
    SIMPLIFIED.get(&c).copied()
}

/// The traditional form of a simplified character that has another one.
pub(super) fn traditional(c: char) -> Option<char> {
    TRADITIONAL.get(&c).copied()
}

/// Whether only Japanese writes it.
pub(super) fn is_only_japanese(c: char) -> bool {
    ONLY_JAPANESE.contains(c) && simplified(c).is_none() && traditional(c).is_none()
}

/// Whether Japanese writes it as well.
pub(super) fn is_japanese_too(c: char) -> bool {
    match (simplified(c), traditional(c)) {
        (Some(_), _) => !NOT_JAPANESE.contains(c),
        (None, Some(_)) => JAPANESE_TOO.contains(c),
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_both_simplified_and_traditional() {
        for table in [PAIRS, ONE_WAY] {
            let count = table.chars().filter(|c| !c.is_whitespace()).count();
            assert_eq!(count % 2, 0);
        }
        for (simple, full) in pairs(PAIRS).chain(pairs(ONE_WAY)) {
            if simple == full {
                continue;
            }
            assert_eq!(simplified(full), Some(simple), "{full} has two simplified forms");
            assert_eq!(simplified(simple), None, "{simple}");
            assert_eq!(traditional(full), None, "{full}");
        }
        assert!(SIMPLIFIED.len() > 700, "{}", SIMPLIFIED.len());
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(simplified('關'), Some('关'));
        assert_eq!(traditional('关'), Some('關'));
        assert_eq!((simplified('台'), traditional('台')), (None, None));
        assert_eq!(simplified('後'), Some('后'));
        assert!(is_only_japanese('戦') && !is_only_japanese('戰'));
        assert!(is_japanese_too('軍') && !is_japanese_too('國') && is_japanese_too('国'));
    }
}
