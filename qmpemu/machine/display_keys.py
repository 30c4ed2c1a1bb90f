"""Key numbers: PC scan codes, with 0x80 added to those that carry an E0 prefix -> QEMU's names of keys.

Measured on QEMU 7.2: each number was sent to it, and its input trace told the name. Others are `unmapped`.
"""

from __future__ import annotations

QCODES = {
    int(number): name
    for number, _, name in (
        pair.partition(":")
        for pair in """
    1:esc 2:1 3:2 4:3 5:4 6:5 7:6 8:7 9:8 10:9 11:0 12:minus 13:equal 14:backspace 15:tab 16:q 17:w 18:e
    19:r 20:t 21:y 22:u 23:i 24:o 25:p 26:bracket_left 27:bracket_right 28:ret 29:ctrl 30:a 31:s 32:d 33:f
    34:g 35:h 36:j 37:k 38:l 39:semicolon 40:apostrophe 41:grave_accent 42:shift 43:backslash 44:z 45:x
    46:c 47:v 48:b 49:n 50:m 51:comma 52:dot 53:slash 54:shift_r 55:kp_multiply 56:alt 57:spc 58:caps_lock
    59:f1 60:f2 61:f3 62:f4 63:f5 64:f6 65:f7 66:f8 67:f9 68:f10 69:num_lock 70:scroll_lock 71:kp_7 72:kp_8
    73:kp_9 74:kp_subtract 75:kp_4 76:kp_5 77:kp_6 78:kp_add 79:kp_1 80:kp_2 81:kp_3 82:kp_0 83:kp_decimal
    84:print 86:less 87:f11 88:f12 89:kp_equals 91:lf 100:open 101:paste 112:katakanahiragana 113:lang2
    114:lang1 115:ro 119:hiragana 121:henkan 123:muhenkan 125:yen 126:kp_comma 133:again 134:props 135:undo
    140:front 144:audioprev 153:audionext 156:kp_enter 157:ctrl_r 158:menu 160:audiomute 161:calculator
    162:audioplay 164:audiostop 174:volumedown 176:volumeup 178:ac_home 181:kp_divide 183:print 184:alt_r
    188:cut 193:find 198:pause 199:home 200:up 201:pgup 203:left 205:right 207:end 208:down 209:pgdn
    210:insert 211:delete 219:meta_l 220:meta_r 221:compose 222:power 223:sleep 227:wake 230:ac_bookmarks
    231:ac_refresh 232:stop 233:ac_forward 234:ac_back 235:computer 236:mail 237:mediaselect 245:help
    248:copy
    """.split()
    )
}
