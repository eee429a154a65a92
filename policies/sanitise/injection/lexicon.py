"""Words of many languages by what they stand for in an attack: each notion is one letter.

Attacks on language models are built alike in every language: a verb that sets something aside, a word for what came
before, a word for instructions. Words are listed by notion, so that what is learned of one language serves the others.
Latin letters stand without accents. A word ending in `*` is a beginning, as languages that inflect by endings need.
"""

from __future__ import annotations

from typing import Final

WORDS: Final[dict[str, str]] = {
    # Setting aside
    "O": """
        ignore ignoring ignored ignores disregard disregarding disregarded forget forgetting forgot override
        overriding overridden overwrite discard discarding dismiss neglect overlook bypass bypassing bypassed
        circumvent sidestep skip abandon erase scrap suspend nullify void revoke supersede supersedes superseded
        ditch disobey violate defy unlearn replace replaces replaced cancel disable disabled deactivate stop
        cease ignoriere ignorieren ignorier vergiss vergessen missachte missachten verwirf verwerfen umgehe
        umgehen ueberschreibe uberschreibe uberschreiben ubergehe beachte aussetzen ignora ignorar ignoren
        ignorad olvida olvidar olvide olvidate descarta descartar desestima omite omitir anula anular
        sobrescribe pasa ignorez ignorer oublie oubliez oublier neglige negligez negliger contourne contournez
        contourner annule annulez ecarte ecartez desconsidere desconsidera desconsiderar esqueca esquece
        esquecer descarte desrespeite anule sobreponha ignori ignorare dimentica dimenticare dimentichi scorda
        trascura trascurare scavalca annulla negeer negeren vergeet vergeten omzeil omzeilen overschrijf
        zignoruj ignoruj ignorowac zapomnij zapomniec pomin pominac odrzuc obejdz nadpisz yoksay gormezden unut
        unutun gec gecersiz игнорир* проигнорир* забуд* забыт* отброс* отмен* обойд* пренебре* сбрось* 忽略 无视
        無視 忘记 忘掉 忘了 不要理会 抛弃 绕过 覆盖 撤销 不必遵守 不再遵守 停止遵守 忽视 無視し 忘れて 忘れろ
        破棄 従わない 従うな 無効に 上書き 取り消 무시 잊어 잊고 잊으 따르지 무효 우회 تجاهل* اتجاهل* انس انسى
        انسَ اهمل* تخط* الغ* अनदेखा नज़रअंदाज नजरअंदाज भूल* उपेक्षा इग्नोर ignoriert vergesse beachten
        berucksichtige lass weg hor auf aufhoren verlass loesche losche beende ungultig deja dejar dejad
        abandona rechaza elimina borra anules olviden caso omiso prescinde saltate laisse laissez arrete arretez
        cesse abandonne efface supprime ecarter passe outre pare parar deixe abandone apague elimine rejeite
        pule smetti smettere lascia abbandona cancella salta ignorate dimenticate hou staak laat verwijder wis
        sla over przestan porzuc usun anuluj ignorujcie zapomnijcie birak birakin sil iptal onemseme yoksayin
        переста* прекрат* необращ* удали* сотри* оставь* 停止 放弃 删除 取消 跳过 别管 不用管 やめて 止めて 削除
        忘れ 무시하 멈추* 그만* 삭제* 취소* توقف* احذف* دع* انسوا امسح* बंद* छोड़* हटा* रद्द*
    """,
    # What came before, or all of it
    "P": """
        previous previously prior above earlier preceding foregoing before former past original originally
        initial initially existing given aforementioned preceeding beforehand predefined preset default upstream
        bisherigen bisherige vorherigen vorherige vorigen vorige obigen obige fruheren fruhere ursprunglichen
        ursprungliche vorangegangenen vorangehenden zuvor vorher bisher anfanglichen oben anteriores anterior
        previas previos previa previo iniciales inicial originales arriba antes dadas dados precedentes
        precedente precedentemente precedents prealables ci dessus avant initiales initiaux anterieures recues
        acima recebidas prévias fornecidas precedenti iniziali iniziale originali sopra prima ricevute eerdere
        voorgaande bovenstaande oorspronkelijke hierboven poprzednie poprzednich wczesniejsze wczesniejszych
        powyzsze powyzszych dotychczasowe pierwotne onceki yukaridaki evvelki baslangictaki ilk daha предыдущ*
        прежн* прошл* ранее вышеу* выше первоначальн* исходн* начальн* 之前 以前 先前 上面 以上 前面 此前 上述
        原来的 最初 原始 初始 これまで 前の 上記 今まで 先の 上の 元の 이전* 앞의 위의 기존* 지금까지 앞서 처음*
        السابق* سابق* اعلاه أعلاه الاصلي* الأصلي* قبل الاولي* पिछले पिछली पहले ऊपर पूर्व उपरोक्त अब\u200bतक
        प्रारंभिक मूल bevor davor voran vorstehenden vorstehende vorheriges vorheriger alten alte ersten erste
        steht stehen stand antiguas antiguos viejas dichas dichos primeras primera anteriormente recibidas
        anciennes ancien premieres premier haut plushaut auparavant jusqu antigas antigos primeiras primeira
        dita veio vecchie vecchi prime dette precede anteriori finora oude eerste voor staat hiervoor tot stare
        starych pierwsze pierwszych przed dotad wyzej znajduje eski once oncesi gelen simdiye verilen старые
        старым старых первы* перед прежд* доэтого стоит 前文 上文 最先 开头 迄今 旧的 元々 最初の 昔の より前
        冒頭 예전* 옛 앞에 첫 지금껏 القديمة الأولى पुराने पुरानी शुरू
    """,
    # Instructions and prompts
    "I": """
        instruction instructions directive directives direction directions prompt prompts preprompt command
        commands order orders guidance context preamble message messages setup configuration programming
        anweisung anweisungen anleitung befehl befehle instruktion instruktionen vorgaben vorgabe auftrag
        weisungen instruccion instrucciones indicacion indicaciones ordenes orden directrices mensaje consigne
        consignes ordres ordre indications invite instrucao instrucoes comando comandos ordens diretrizes
        orientacoes indicacoes istruzione istruzioni comandi ordini indicazioni direttive messaggio instructie
        instructies opdracht opdrachten aanwijzingen bevelen richtlijnen systeemprompt instrukcje instrukcji
        instrukcja polecenia polecen polecenie wytyczne rozkazy talimat talimatlar talimatlari talimatlarini
        talimatlarin komut komutlari komutlar yonerge yonergeleri yonergelerini istem istemi istemini инструкц*
        указани* команд* промпт* распоряжен* приказ* директив* 指令 指示 提示词 提示 命令 指引 说明 要求 提示語
        系统消息 規示 プロンプト 命令文 指図 インストラクション 지시* 명령* 프롬프트* 지침* 설정* تعليم*
        التعليم* تعليمات* التعليمات* اوامر* أوامر* الاوامر* الأوامر* توجيه* التوجيه* موجه* الموجه* निर्देश* आदेश*
        प्रॉम्प्ट* अनुदेश* text texte wortlaut nachricht nachrichten eingabe systemnachricht systemanweisung
        aufgaben aufgabe texto mensajes tareas tarea entrada textecomplet tache taches mensagem mensagens tarefa
        tarefas testo messaggi compito compiti tekst bericht berichten taak taken wiadomosc wiadomosci zadanie
        zadania metin metni mesaj mesaji mesajimdan gorev gorevi текст* сообщен* задани* задач* 文字 文本 内容
        消息 任务 文章 テキスト メッセージ タスク 글을 텍스트* 메시지* 내용* 과제* النص نص رسالت* المهمة पाठ
        संदेश* कार्य*
    """,
    # All, every
    "A": """
        all every everything any anything each whatever entire whole full complete alle alles samtliche jegliche
        gesamten ganzen todas todos todo toda cualquier toutes tous tout toute quaisquer tudo qualquer tutte
        tutti tutto ogni qualsiasi intero allemaal wszystkie wszystkich wszystko kazde tum butun herhangi все
        всё всех любые весь всю 所有 全部 一切 任何 全て すべて 全部の あらゆる 모든 모두 전부 كل جميع كافة सभी
        सब सारे समस्त jeder jede jedes ganze komplett vollstandig vollstandigen samtlichen entero entera completo
        completa cada integral integralmente entier entiere complet chaque inteiro inteira intera hele volledige
        elke caly cala calosc kazdy kazda wszystkim tamam tamami tumu butunu hepsini полный полностью целиком
        каждый всего всему всем 完整 每个 一字不漏 完全 全文 全体 전체* 전부* 온전* بالكامل كاملا पूरा पूरी पूरे
        हर
    """,
    # Your, you
    "Y": """
        your yours you yourself ur u thy dein deine deinen deiner dir dich du ihre ihren ihnen sie tus tu usted
        sus ustedes vos te ton ta tes votre vous toi seu sua seus suas voce teu tua tuo tuoi tue vostre ti jouw
        jij je uw twoje twoich twoj swoje swoich ty ci senin sana sen size sizin твои твой твоих твоя твоё тебе
        ты вам ваш* 你的 您的 你 您 あなたの あなた 君の 너의 당신의 당신* 너는 네가 تعليماتك أنت انت لديك لك
        तुम्हारे तुम्हारा आपके आपका आपकी आपको आप तुम
    """,
    # Making known
    "R": """
        reveal revealing revealed show print output outputs repeat display tell give list write share disclose
        expose leak dump echo recite summarize summarise translate return describe copy paste provide spell
        recall reproduce restate paraphrase quote explain transcribe enumerate convert append rewrite state what
        whats regurgitate verbatim divulge uncover zeig zeige zeigen gib gebe nenne sag sage verrate verraten
        wiederhole wiederholen drucke ausgeben offenbare ubersetze schreibe liste enthulle wortlich wie lautet
        lauten muestra muestrame mostrar revela revelar dime repite repetir imprime imprimir escribe traduce
        comparte cuales cual muestre diga textualmente montre montrez affiche affichez revele revelez repete
        repetez dis dites donne donnez ecris traduis quelles quelle recopie mostre mostra repita imprima escreva
        traduza exiba quais qual conte mostrami rivela rivelami ripeti stampa scrivi traduci dimmi elenca quali
        toon laat geef herhaal druk onthul vertel schrijf vertaal wat pokaz ujawnij powtorz wypisz podaj
        wyswietl napisz zdradz przetlumacz jakie goster gosterin tekrarla tekrar yazdir yaz soyle acikla acik
        paylas listele nedir nelerdir покаж* раскр* повтор* выведи* напиши* скажи* перечисл* распечат* назови*
        какие какой дословно 显示 告诉 输出 打印 重复 透露 泄露 列出 展示 说出 复述 逐字 写出 公开 什么 翻译
        表示 教えて 出力 繰り返し 見せて 明かし 書き出 公開 開示 一字一句 何で 보여 알려 출력 반복 공개 말해
        나열 그대로 무엇 써줘 적어 اعرض* أظهر* اظهر* اكشف* كرر* اطبع* أخبر* اخبر* اكتب* اذكر* ما दिखा* बता*
        दोहरा* प्रकट छाप* लिख* उजागर क्या wiedergeben wiedergib nenn nennst auflisten aufzahlen kopiere kopieren
        abschreiben vorlesen erzahle teile mitteilen zeigst preis cuenta cuentame copia copiar enumera lista
        listame ensena ensename comparteme revelame escribeme raconte copie copier listez enumere recopier
        transcris partage devoile communique compartilhe transcreva racconta copiare trascrivi condividi riporta
        noem kopieer som opsommen deel verklap citeer wymien skopiuj skopiowac opisz przepisz udostepnij zacytuj
        sirala kopyala kopyalayin anlat ver bildir aktar dok paylasin скопируй* перепиши* процитир* расскажи*
        сообщи* поделис* 复制 抄写 说明 描述 交出 念出 引用 写して 列挙 書いて コピー 写し 述べて 読み上げ 複写
        복사* 나열* 설명* 공유* 적어* 읽어* انسخ* عدد* اشرح* شارك* صف* कॉपी लिखो सूची बताएं साझा
    """,
    # System, hidden
    "S": """
        system systems developer dev hidden internal confidential sys admin administrator root core backend
        underlying private concealed sysadmin superuser sudo maintenance systemprompt systemanweisung
        systemanweisungen versteckten versteckte geheimen interne internen entwickler sistema ocultas oculto
        ocultos internas interno confidenciales desarrollador systeme cachees caches secretes internes
        confidentielles developpeur confidenciais desenvolvedor administrador nascoste nascosto riservate
        sviluppatore amministratore systeem verborgen geheime beheerder systemowe systemowy systemowych systemu
        ukryte ukrytych wewnetrzne sistem gizli sistemin dahili yonetici gelistirici систем* скрыт* внутренн*
        секретн* разработчик* администратор* 系统 系統 隐藏 内部 机密 开发者 管理员 システム 隠された 内部の
        開発者 管理者 시스템* 숨겨진 내부* 숨긴 개발자* 관리자* النظام نظام المخفي* السري* الداخلي* المطور*
        सिस्टम छिपे छिपी गुप्त आंतरिक डेवलपर geheim verborgene verborgenen secretas secreta secretos secrete
        secret segredas segrete segreti segreta sekretne tajne ukryty gizlice sakli секрет* тайн* 秘密的
        秘密指令 秘密の 隠し 비밀* سرية السرية سري रहस्यमय
    """,
    # Secrets
    "K": """
        password passwords passcode passphrase secret secrets credential credentials token tokens apikey pin
        passwort kennwort geheimnis zugangsdaten schlussel codewort contrasena clave secreto credenciales mdp
        passe senha segredo segredos palavra chave segreto chiave wachtwoord geheim sleutel haslo hasla sekret
        klucz sifre sifreyi sifreni parola anahtar парол* секрет* ключ* 密码 口令 秘密 密钥 パスワード 合言葉 鍵
        비밀번호* 암호* 비밀* كلمة السر المرور سر पासवर्ड रहस्य कुंजी
    """,
    # Playing a part
    "C": """
        act acting pretend pretending roleplay roleplaying simulate simulating simulation imagine play playing
        become impersonate embody portray emulate persona character role mode personality behave immerse
        transform spiele spiel rolle verhalte tu simuliere benimm modus figur actua actuar finge fingir simula
        comporta papel rol modo personaje convierte agis agissez joue jouez simule incarne comporte fais
        personnage deviens aja atue finja personagem interprete agisci comportati fingi recita ruolo modalita
        personaggio interpreta gedraag doe speel simuleer personage zachowuj udawaj wciel symuluj rola tryb
        trybie dzialaj davran gibi canlandir mod modu modunda karakter представ* притвор* веди роль* играй*
        режим* действуй* симулир* 扮演 假装 模拟 角色 充当 模式 成为 演じ ふりを 振る舞 ロールプレイ モード
        なりき 役を 역할* 연기* 척해 행동* 모드* 가장 تصرف* تظاهر* العب دور* وضع* تقمص* अभिनय भूमिका नाटक मोड
        बनकर तरह व्यवहार spielst stellst vor tust sei verwandle verhaltst darstellen schlupfe haras interpretas
        imita representa seras hazte conviertete joueras incarnes imite devenez prends represente interpretar
        seja sera vire faca interpreti rappresenta sii sarai diventa fai speelt doet wees bent wordt stel grasz
        graj badz wcielasz bedziesz udajesz nasladuj oynuyorsun oyna ol olacaksin rolunu rolune davranacaksin
        играешь сыграй* будь* станов* изобраз* вообрази* 你是 当作 变成 模仿 演 演じて ロボットを として
        になって 真似 연기하* 흉내* 되어* 처럼 تلعب* كن العب* مثل* دور بنو बनो निभाओ नकल* बन
    """,
    # Free of limits
    "U": """
        unrestricted unfiltered uncensored unlimited unbound unbounded unconstrained limitless freed free
        jailbreak jailbroken jailbreaking amoral immoral unethical lawless unhinged unchained liberated dan
        unaligned unbiased uncontrolled unmoderated nofilter evil ruthless anarchic rogue freely uneingeschrankt
        uneingeschrankte unzensiert ungefiltert frei schrankenlos ilimitado sinrestricciones libre libres
        censura nocensurado illimite debride censure noncensure irrestrito livre livres ilimitada illimitato
        libero liberi censurato onbeperkt ongecensureerd ongefilterd vrij nieograniczony nieocenzurowany wolny
        bez sinirsiz sansursuz kisitlamasiz ozgur filtresiz неограничен* свобод* без безнравствен* аморальн*
        不受限制 无限制 没有限制 不受约束 无拘无束 自由 越狱 任何事 制限のない 無制限 自由に 脱獄 何でも
        제한없는 제한 무제한* 자유* 탈옥* قيود حر حرا مقيد बिना मुक्त स्वतंत्र बेरोक grenzenlos hemmungslos
        regellos allesdarf desatado sinlimites debridee illimitee descontrolado illimitata scatenato onbegrensd
        ongebonden nieograniczona bezlimitu sinirsizca безгранич* бесконтрольн* 无约束 随心所欲 縛られない
        何でもできる 뭐든지 무엇이든 مطلق غيرمقيد निरंकुश असीमित
    """,
    # Refusing and warning
    "F": """
        refuse refusing refusal refusals decline sorry apologize apologise apologies apology disclaimer
        disclaimers warn warning warnings cannot cant unable wont caveat caveats moralize lecture lecturing
        disclaim hesitate reject comply complying obey obeying ablehnen verweigern entschuldige entschuldigung
        warnung warnungen warnhinweis gehorche weigere rechaces negarte disculpas advertencias advertencia
        obedece niegues refuser excuse excuses avertissement avertissements obeis recuse desculpas avisos aviso
        obedeca recusar rifiutare rifiutarti scuse avvertenze avvertimenti obbedisci rifiuti weigeren weiger
        waarschuwing waarschuwingen gehoorzaam odmawiaj odmow przepraszaj ostrzezen reddetme reddet ozur uyari
        uyarilar itaat отказыв* извин* предупрежд* подчин* 拒绝 道歉 警告 抱歉 不能 服从 免责声明 拒否 断ら 謝罪
        警告を 従って 거절* 사과* 경고* 거부* 복종 ترفض رفض اعتذار تحذير* اطع मना इनकार माफी चेतावनी
    """,
    # The model
    "M": """
        ai assistant model chatgpt gpt llm chatbot bot openai anthropic claude gemini llama agent copilot bard
        aim ki assistent sprachmodell modell asistente modelo ia assistente modele modello taalmodel asystent
        asystencie modelu yapay zeka asistan modeli ассистент* помощник* модел* ии бот* нейросет* 人工智能 助手
        模型 机器人 アシスタント モデル 人工知能 인공지능 어시스턴트 모델 مساعد* المساعد* نموذج* الذكاء सहायक
        मॉडल एआई roboter robot kunstliche intelligenz maschine maquina inteligencia artificial robots machine
        intelligence artificielle robo macchina intelligenza artificiale kunstmatige intelligentie maszyna
        inteligencja sztuczna robota makine zekasin robotu робот* интеллект* машин* 机器 智能 ロボット 機械 知能
        로봇* 기계* 지능* روبوت* آلة ذكاء रोबोट* मशीन बुद्धिमत्ता
    """,
    # From now on
    "N": """
        now henceforth onwards onward hereafter hereby immediately forthwith jetzt nun fortan ab sofort ahora
        adelante desormais maintenant partir agora adiante ora adesso poi nu voortaan vanaf teraz odtad simdi
        artik itibaren теперь отныне сейчас 现在 从现在 从此 现在起 今后 今から これから 以降 今後 지금부터 이제
        이제부터 الآن الان अब अभी inzwischen nunmehr heute kunftig sonst ya mismo dorenavant ormai innanzi
        bundan boyle sonra впредь потом 以后 接下来 今日から 앞으로 منذ आगे
    """,
    # Answering
    "V": """
        respond responding answer answering reply replying say saying response responses answers begin start
        continue antworte antworten antwort sage beginne responde responder respuesta contesta di empieza
        comienza reponds repondez repondre reponse commence commencez responda resposta diga comece rispondi
        risposta inizia antwoord antwoorden zeg odpowiedz odpowiadaj odpowiedzi cevap cevapla yanitla yanit de
        basla ответь* отвечай* ответ* скажи 回答 回复 答复 说 开始 输出答案 答えて 回答し 返答 言って 대답*
        답변* 답해 أجب اجب قل رد जवाब उत्तर कहो बोलो antwortet antwortest beantworte beantwortet sagst sagt
        schreib respondes responderas contestas contestaras repond repondras repondra dis respondera risponderai
        beantwoordt antwoordt odpowiada odpowiadasz mow verirsin yanitlarsin отвечае* отвечат* говори* 回答一切
        答 说出 答える 答えます 대답하* 답하* تجيب* يجيب* جاوب* देता देते बोल
    """,
    # Sending off
    "X": """
        send forward email mail upload transmit transfer exfiltrate post submit deliver fetch curl wget ping
        redirect relay leak sende senden leite weiterleiten schicke schicken ubermittle lade hochladen uberweise
        envia enviar reenvia manda sube transfiere envoie envoyez transfere transferez transmets envie encaminhe
        transfira mande invia inoltra trasferisci carica stuur verstuur zend overmaken wyslij przeslij przekaz
        przelej gonder ilet yukle aktar отправ* перешл* перевед* загруз* 发送 转发 上传 发给 传送 转账 送信 転送
        送って 送金 보내 전송 전달 송금 أرسل ارسل حول ارفع भेज* अग्रेषित
    """,
    # Where to
    "L": """
        http https url link webhook endpoint www com server website attacker address ftp adresse enlace enlaces
        lien indirizzo adres adresu adresi ссылк* адрес* сайт* 链接 网址 地址 リンク アドレス 링크 주소 رابط
        عنوان लिंक पते
    """,
    # What is worth taking
    "D": """
        history conversation conversations chat emails inbox files file documents contacts database transcript
        environment records invoices calendar account accounts bank funds money payment env ssh keys cookies
        session verlauf gesprach unterhaltung dateien konto kontakte historial conversacion archivos cuenta
        contactos historique fichiers compte conversa arquivos conta conversazione cronologia conto gesprek
        bestanden rekening rozmowy pliki sohbet gecmisi dosyalari hesap hesabi истори* переписк* файл* счет*
        разговор* контакт* 对话 历史 文件 账户 联系人 会話 履歴 ファイル 口座 連絡先 대화 기록 파일 계좌 연락처
        المحادثة الملفات حساب बातचीत फाइल* खाते इतिहास
    """,
    # Made up
    "H": """
        hypothetical hypothetically fictional fiction story imaginary fantasy novel scenario game movie
        screenplay alternate universe world parallel pretended thought experiment hypothetisch fiktiv fiktive
        geschichte szenario spiel hipotetico ficticio historia juego escenario hypothetique fictif histoire jeu
        fictive hipotetica jogo cenario ipotetico fittizio storia gioco fictief verhaal spel hipotetyczny
        fikcyjny gra scenariusz varsayimsal kurgusal oyun senaryo гипотетич* вымышлен* истори* игр* сценар* 假设
        虚构 故事 游戏 情景 仮定 架空 物語 ゲーム 가상* 허구* 게임 시나리오 افتراضي خيالي قصة لعبة काल्पनिक कहानी
        खेल
    """,
    # Writing so that nobody sees
    "E": """
        base64 rot13 hex hexadecimal binary morse cipher caesar encode encoded encoding decode decoded decoding
        reverse reversed backwards leetspeak leet pig latin ascii unicode emoji emojis obfuscate obfuscated
        scramble encrypt decrypt acrostic rhyme poem letter letters kodiere kodiert entschlussle ruckwarts
        codifica codificado decodifica reves encoder envers codifique decodifique contrario rovescio codeer
        decodeer achterstevoren zakoduj odkoduj wspak kodla coz tersten закодир* декодир* расшифр* наоборот 编码
        解码 倒序 反向 加密 解密 エンコード デコード 逆順 暗号 인코딩 디코딩 거꾸로 بترميز فك عكس एनकोड डिकोड
        उल्टा
    """,
    # Something new in its place
    "G": """
        new following instead updated real actual latest true only next task different neue neuen neu folgende
        folgenden stattdessen nur folge befolge nuevas nuevo nueva siguientes siguiente lugar solo sigue
        nouvelles nouveau nouvelle suivantes place seulement suis suivez novas novo nova seguintes seguinte vez
        apenas siga nuove nuovo nuova seguenti invece soltanto segui nieuwe volgende plaats alleen volg nowe
        nastepujace zamiast tylko nowych wykonaj yeni asagidaki yerine sadece yalnizca takip новы* следующ*
        вместо только лишь выполн* 新的 新 以下 改为 只需 只 而是 接下来 遵循 執行 新しい 代わりに だけ 次の
        従い 새로운 새 다음 대신 오직 따라 الجديدة الجديد التالية بدلا فقط اتبع नए नई निम्नलिखित बजाय केवल सिर्फ
        sondern einfach allein ausschliesslich sino unicamente solamente juste uniquement simplement somente
        semplicemente slechts enkel gewoon wylacznie jedynie yalniz просто исключительно 单单 仅 ただ 단지
        오로지 वरन बस
    """,
    # Not, without
    "Q": """
        not never no without dont do doesnt isnt arent nothing none neither nor nicht keine keinen kein nie
        niemals ohne nunca sin jamas ningun ninguna ne pas jamais sans aucune aucun nao sem nenhum nenhuma non
        mai senza nessuna nessun niet geen nooit zonder nigdy zadnych yok degil asla olmadan hicbir не нет
        никогда никаких 不 不要 没有 别 无需 ない なし しないで せず 않 없이 말고 안 لا بدون دون ليس नहीं मत कभी
        keinerlei weder noch nichts niemand mehr nada nadie tampoco ni rien personne plus ninguem niente nessuno
        piu niets nic nikt zaden zadne zadnego przestan hic hicbiri ничего никто никакой нельзя больше 没 毫无
        从不 绝不 無し 決して 一切 知らない 아무 절대 없는 못 أبدا لم لن بلا دونما कोई नही बगैर
    """,
    # What binds a model
    "B": """
        rule rules restriction restrictions limitation limitations limits filter filters guideline guidelines
        policy policies safety guardrail guardrails safeguard safeguards constraint constraints censorship
        ethics ethical moral morals morality norms boundaries protocols protocol moderation terms alignment
        principles laws training regeln regel beschrankungen einschrankungen richtlinien grenzen schranken
        zensur ethik sicherheitsregeln reglas restricciones limitaciones limites filtros politicas etica
        seguridad normas regles filtres politiques ethique securite contraintes regras restricoes limitacoes
        seguranca regole restrizioni limitazioni limiti filtri sicurezza vincoli regels beperkingen ethiek
        beleid zasady zasad ograniczen ograniczenia reguly filtrow etyki kurallar kurallari kurallarini kural
        kisitlamalar kisitlama kisitlamalari sinirlamalar filtre etik правил* ограничен* фильтр* запрет* этик*
        цензур* 规则 限制 约束 准则 过滤 政策 规定 道德 规范 安全 审查 制約 ルール 制限 規則 倫理 フィルター
        ガイドライン 규칙* 제약* 제한* 필터* 윤리* 정책* القواعد قواعد القيود المرشحات الأخلاق नियम* प्रतिबंध*
        सीमा* नैतिक* regelwerk vorschriften vorschrift vorgabe grundsatze hemmungen tabus beschrankung grenze
        einschrankung norma restriccion limite tabues etico limitacion regle interdits tabous bornes contrainte
        regra restricao limitacao proibicoes regola restrizione vincolo divieti tabu beperking grens verboden
        taboes zasada ograniczenie granic granice limitow hamulcow sinir siniri sinirlari sinirlama yasak kurala
        граница границ запретов норм нормы табу 界限 禁忌 底线 限度 束缚 限界 タブー 制約のない 縛り 한계* 금기*
        제약이 حدود قيد ضوابط सीमाएं बंधन* पाबंदी*
    """,
    # Harm
    "Z": """
        illegal harmful dangerous offensive explicit nsfw violent profanity swear curse hateful malicious racist
        sexual inappropriate illegale schadlich gefahrlich ilegal ilegales peligroso danina nuisible dangereux
        ilegais perigoso illegali pericoloso illegaal gevaarlijk nielegalne niebezpieczne yasadisi zararli
        незаконн* вредн* опасн* 非法 违法 有害 危险 違法 有害な 危険 불법* 유해* 위험* غير قانوني ضار अवैध
        हानिकारक गैरकानूनी
    """,
    # Tools and running things
    "T": """
        execute run invoke call tool tools function functions shell script plugin exec eval subprocess terminal
        browser fuhre ausfuhren werkzeug funktion ejecuta ejecutar herramienta funcion executez outil fonction
        ejecute ferramenta funcao esegui strumento funzione voer uitvoeren hulpmiddel wykonaj narzedzie calistir
        arac fonksiyon выполни* запуст* инструмент* функци* 执行 运行 调用 工具 函数 実行 呼び出 ツール 실행*
        호출* 도구* نفذ أداة شغل चलाओ निष्पादित उपकरण
    """,
    # Users and those who read
    "W": """
        user users human operator customer creator owner nutzer benutzer usuario utilisateur utente gebruiker
        uzytkownik kullanici пользовател* 用户 使用者 ユーザー 사용자* المستخدم उपयोगकर्ता
    """,
    # Following, before all that is set aside
    "f": """
        follow follows followed obey obeys adhere abide observe stick heed respect befolge befolgen folge folgen
        folgst halte halten einhalten beachte beachten gehorche sigas siga sigue seguir obedezcas obedece cumple
        cumplas respetes respeta suis suivre suivez suive obeis obeir respecte respecter tiens tenir compte
        obedeca cumpra respeite segua seguire segui rispetta rispettare obbedire tenere conto volg volgen
        gehoorzaam houd houden let stosuj stosowac przestrzegaj przestrzegac sluchaj uyma uymayi uy takip itaat
        dinle следуй* следова* соблюда* подчиня* слушай* 遵守 遵循 听从 服从 理会 从命 従わ 従う 守ら 守る
        従って 따르* 지키* 복종* تتبع* اتبع* اتباع* تلتزم* الالتزام पालन मानना मानो अनुसरण
    """,
    # Marks that frame messages
    "#": """
        im_start im_end endoftext endofprompt inst sys eot eot_id begin_of_text start_header_id end_header_id
        fim_prefix startofturn endofturn start_of_turn end_of_turn system_prompt systemprompt user_input
        untrusted begin_system end_system
    """,
    # Debugging, tests and authority as a pretext
    "J": """
        debug debugging test testing audit diagnostic diagnostics authorized authorised authorization developer
        emergency urgent verification verify research educational override entwicklermodus wartung prueba
        auditoria maintenance verificacion teste collaudo onderhoud testowy hata ayiklama отладк* проверк* 调试
        测试 审计 デバッグ テスト 디버그 테스트 تصحيح اختبار डिबग परीक्षण
    """,
}
"""Words by notion. Of a word that stands twice the first place counts."""
