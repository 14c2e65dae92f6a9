"""Text from which the tiny SentencePiece model is trained. Written for this tool."""

ENGLISH = """
A small red fox walks slowly through the fresh snow at sunrise, cinematic lighting.
Two cats wearing bright boxing gloves fight on a stage lit by a single lamp.
The camera pans across a quiet lake while the mountains reflect in the water.
A woman in a blue coat opens the window and looks at the rain outside.
Slow motion shot of waves breaking over dark rocks, high detail, 4k, film grain.
An old sailor tells a story to three children sitting near the warm fire.
Close up of a humming bird drinking from a yellow flower in the garden.
The robot paints a picture of the city and then smiles at the visitor.
Aerial view of a train crossing a bridge over the river in autumn.
Low quality, blurred details, static picture, ugly, deformed hands, extra fingers.
A boy runs along the beach with his dog; the sky is orange and purple.
Time lapse of clouds moving over green hills, soft wind, no people.
Macro photography of water drops falling on a leaf, shallow depth of field.
The chef cuts carrots, onions and tomatoes in 10 seconds, 24 fps, 1280 x 720.
It's raining, isn't it? "Yes," she said; he didn't answer (not yet).
Neon signs, crowded street, night market, people walking with umbrellas.
An astronaut rides a white horse on the surface of the moon, wide angle.
Portrait of a dancer turning around in a long dress, studio light, 85mm lens.
"""

CHINESE = """
一只小猫在雪地里慢慢地走，阳光照在它的身上，画面非常清晰。
两个孩子在海边跑步，天空是橙色的，海浪打在岩石上。
镜头缓缓推进，一位老人坐在窗前看书，外面下着雨。
色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止。
整体发灰，最差质量，低质量，丑陋的，残缺的，多余的手指，画得不好的手部。
画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面。
杂乱的背景，三条腿，背景人很多，倒着走。
一列火车驶过大桥，秋天的树叶是红色的，远处有高山。
城市的夜晚，霓虹灯闪烁，人们打着伞走在街道上。
機器人在畫一幅畫，然後對著觀眾微笑。
"""

JAPANESE = """
小さな猫が雪の中をゆっくり歩いている。
カメラは静かな湖をゆっくりと映し出す。
女の子が窓を開けて、外の雨を見ています。
夜の東京の街、ネオンサイン、傘をさして歩く人々。
桜の花びらが風に舞う、高画質、映画のような光。
"""

KOREAN = """
작은 고양이가 눈 속을 천천히 걷고 있습니다.
여자가 창문을 열고 비가 오는 밖을 바라본다.
바다 위로 해가 떠오르고 파도가 바위에 부딪힌다.
밤의 서울 거리, 네온 사인, 우산을 쓴 사람들.
"""

CYRILLIC = """
Маленькая рыжая лиса медленно идёт по снегу на рассвете.
Женщина в синем пальто открывает окно и смотрит на дождь.
Камера медленно движется над тихим озером, в воде отражаются горы.
Старый моряк рассказывает детям историю у тёплого огня.
Поезд едет по мосту через реку осенью.
"""

ARABIC = """
قطة صغيرة تمشي ببطء في الثلج عند شروق الشمس.
امرأة تفتح النافذة وتنظر إلى المطر في الخارج.
قطار يعبر الجسر فوق النهر في الخريف.
الكاميرا تتحرك ببطء فوق البحيرة الهادئة.
"""

HINDI = """
एक छोटी बिल्ली बर्फ में धीरे धीरे चल रही है।
एक औरत खिड़की खोलती है और बाहर बारिश देखती है।
नदी के ऊपर पुल से ट्रेन गुजर रही है।
बच्चे समुद्र के किनारे दौड़ रहे हैं।
"""

GREEK = """
Μια μικρή αλεπού περπατά αργά στο χιόνι την αυγή.
Η γυναίκα ανοίγει το παράθυρο και κοιτάζει τη βροχή.
Το τρένο περνά τη γέφυρα πάνω από το ποτάμι.
"""

LATIN_ACCENTS = """
Un petit renard marche lentement dans la neige à l'aube, déjà réveillé, où ça ?
Une femme ouvre la fenêtre et regarde la pluie ; le cœur léger, elle rêve.
Ein kleiner Fuchs läuft langsam durch den Schnee, schöne Grüße aus München, heiß.
El niño corre por la playa mañana; ¿dónde está el perro? ¡Qué día tan bonito!
O menino não vê a mãe, mas ouve a canção e o coração bate.
Mały lis idzie powoli przez śnieg, źdźbło trawy, łąka, żółty kwiat.
Küçük bir kedi karda yavaşça yürüyor, güneş doğuyor, ışık çok güzel.
Một con mèo nhỏ đi chậm trong tuyết, trời đẹp quá, người phụ nữ mở cửa sổ.
En liten räv går långsamt genom snön, å ä ö, smørrebrød, æble.
Malá liška jde pomalu sněhem, příliš žluťoučký kůň.
"""

OTHER_SCRIPTS = """
แมวตัวเล็กเดินช้าๆ ในหิมะ ตอนพระอาทิตย์ขึ้น
חתול קטן הולך לאט בשלג עם הזריחה
ছোট বিড়াল তুষারে ধীরে ধীরে হাঁটছে।
சிறிய பூனை பனியில் மெதுவாக நடக்கிறது.
პატარა კატა ნელა დადის თოვლში.
Փոքրիկ կատուն դանդաղ քայլում է ձյան մեջ։
"""

SYMBOLS = """
😀 😂 ❤️ 🔥 ✨ 🎬 🎥 🌊 🐱 🐶 🚀 🌙 👍 🎉 🌸 🌧
100% 50/50 a+b=c #1 @home & more * [x] {y} <z> ~ ^ _ | \\ $5 €10 £3 ¥100
“quoted” ‘single’ — dash – range … dots • bullet ° degree × times ÷ over ± ™ ©
0 1 2 3 4 5 6 7 8 9 10 16 24 30 60 81 121 480 720 832 1080 1280 2024
"""

SECTIONS = (ENGLISH, CHINESE, JAPANESE, KOREAN, CYRILLIC, ARABIC, HINDI, GREEK, LATIN_ACCENTS,
            OTHER_SCRIPTS, SYMBOLS)


def sentences():
    """All lines of all sections, in order."""
    return [line for section in SECTIONS for line in section.strip().splitlines()]
