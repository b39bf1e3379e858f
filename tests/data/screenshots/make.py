"""Draw the screenshots that the tests read, with what is written in them (truth.json).

Run by hand: `python tests/data/screenshots/make.py`; the pictures are committed, so that tests
need no fonts. The texts and drawings are our own, under CC0.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "examples"))

from make_screenshot import DARK, LIGHT, Line, draw_chat  # noqa: E402

BUBBLES = replace(  # no portraits, the time inside the bubble, dates on pills, a wallpaper
    LIGHT, page=(239, 234, 226), left=(255, 255, 255), right=(217, 253, 211),
    radius=8, avatars=False, clocks=True, pills=True, wallpaper=True, font_pt=15.0,
)  # fmt: skip
BUBBLES_DARK = replace(
    BUBBLES, page=(11, 20, 26), bar=(32, 44, 51), ink=(233, 237, 239), grey=(150, 163, 172),
    left=(32, 44, 51), right=(0, 92, 75), right_ink=(233, 237, 239),
)  # fmt: skip
BLUE = replace(
    LIGHT, page=(255, 255, 255), left=(233, 233, 235), right=(10, 122, 255),
    right_ink=(255, 255, 255), radius=16, avatars=False, font_pt=17.0,
)  # fmt: skip

DELIVERY = (
    Line("time", "昨天 20:15"),
    Line("left", "外卖到现在还没送到，都一个半小时了"),
    Line("right", "亲，骑手正在路上，请您再耐心等待十分钟好吗"),
    Line("left", "每次都说十分钟！"),
    Line("left", "我要投诉"),
    Line("right", "实在抱歉，给您申请一张二十元的优惠券作为补偿，您看可以吗？"),
    Line("left", "算了，下次不点了"),
)
PRAISE = (
    Line("time", "星期三 上午9:08"),
    Line("right", "衣服收到了，质量特别好，颜色和图片一模一样"),
    Line("left", "谢谢您的喜欢，欢迎下次再来"),
    Line("right", "一定会的，已经推荐给同事了"),
    Line("notice", "以上是打招呼的内容"),
    Line("left", "太感谢了"),
    Line("right", "好"),
)
GROUP = (
    Line("time", "3月8日 晚上7:45"),
    Line("name", "物业小王"),
    Line("left", "明天上午九点到十一点停水检修，请大家提前储水"),
    Line("name", "三栋李姐"),
    Line("left", "怎么又停水，这个月都第三次了"),
    Line("right", "能不能一次修好？"),
    Line("name", "物业小王"),
    Line("left", "师傅说这次换新管道"),
)
LUGGAGE = (
    Line("time", "Yesterday"),
    Line("left", "My suitcase never arrived and nobody answers the phone", "6:02 PM"),
    Line("right", "I am very sorry to hear that. May I have your claim number?", "6:05 PM"),
    Line("left", "It is TX 4471. I have been waiting for three days", "6:06 PM"),
    Line("time", "Today"),
    Line("right", "Good news, we found it in Lisbon and it flies home tonight", "9:30 AM"),
    Line("left", "Finally! Thank you", "9:41 AM"),
)
ROUTER = (
    Line("time", "Mon 14:20"),
    Line("right", "The new router drops the line every evening"),
    Line("left", "Have you tried another channel?"),
    Line("right", "Yes, twice. I am really tired of this"),
    Line("left", "Then we will send you a replacement tomorrow morning, free of charge"),
    Line("right", "Great, thanks"),
)
REFUND = (
    Line("time", "今天"),
    Line("left", "请问退款什么时候到账", "14:02"),
    Line("right", "您好，一般三到五个工作日原路返回", "14:03"),
    Line("left", "已经第七天了，你们是不是在骗人", "14:03"),
    Line("right", "我马上帮您催一下财务，请稍等", "14:05"),
    Line("left", "好的，等你消息", "14:06"),
)
ONE = (Line("time", "10:30"), Line("left", "你们的客服电话打了一个上午都没有人接听，太失望了"))
TIMES = (Line("time", "昨天 20:15"), Line("time", "星期三 上午9:08"), Line("time", "10:30"))

PICTURES = {
    "portraits_light_1080": (DELIVERY, LIGHT, "楼下小馆", "发消息", 1080),
    "portraits_dark_1080": (DELIVERY, DARK, "楼下小馆", "发消息", 1080),
    "portraits_light_720": (PRAISE, LIGHT, "小鹿女装", "发消息", 720),
    "portraits_dark_720": (GROUP, DARK, "幸福小区业主群(86)", "发消息", 720),
    "wallpaper_light_1080": (LUGGAGE, BUBBLES, "Skyline Help", "Message", 1080),
    "wallpaper_dark_720": (LUGGAGE, BUBBLES_DARK, "Skyline Help", "Message", 720),
    "wallpaper_light_720": (REFUND, BUBBLES, "极速数码", "消息", 720),
    "blue_1080": (ROUTER, BLUE, "Northline", "iMessage", 1080),
    "single_1080": (ONE, LIGHT, "绿洲电器", "发消息", 1080),
    "times_720": (TIMES, LIGHT, "", "", 720),
}


def main() -> None:
    truth = {}
    for name, (lines, theme, title, placeholder, width) in PICTURES.items():
        image = draw_chat(lines, theme, title, placeholder, width)
        image.quantize(32, dither=Image.Dither.NONE).save(HERE / f"{name}.png", optimize=True)
        truth[name] = {
            "messages": [
                {"text": line.text, "side": line.side, "clock": line.clock}
                for line in lines
                if line.side in ("left", "right")
            ],
            "names": [line.text for line in lines if line.side == "name"],
            "timestamps": [line.text for line in lines if line.side == "time"],
        }
        print(name, image.size, (HERE / f"{name}.png").stat().st_size // 1024, "KiB")
    (HERE / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
