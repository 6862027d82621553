"""Real numbering plans: operators, and numbers of theirs that pass every check of the domain.

Sources: ITU-T E.212 (MCC, MNC), E.164 and the national plans (mobile ranges), E.118 (ICCID).
The numbers are made up within real ranges, so one may belong to somebody: they are for
tests and demonstrations, never to be called.
"""

import random
from dataclasses import dataclass

import phonenumbers
import stdnum.luhn

IMSI_DIGITS = 15
ICCID_DIGITS = 19
# Nine in ten numbers of the thinnest range here are valid, so so many tries never all fail.
MAX_TRIES = 200
# Some plans, as that of North America, do not tell mobile numbers from others. What is not
# valid is of no type at all.
MOBILE = (
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A mobile operator's plan.

    Args:
        country: ISO 3166 code.
        plmn: MCC-MNC.
        calling_code: the E.164 country code.
        mobile: beginnings of its mobile numbers after the calling code.
        digits: how many digits a mobile number has after the calling code.
        issuer: how its ICCIDs begin: 89, the country code, its issuer number.
        cities: short names of where its network elements stand.

    """

    name: str
    country: str
    plmn: str
    calling_code: str
    mobile: tuple[str, ...]
    digits: int
    issuer: str
    cities: tuple[str, ...]

    def imsi(self, rng: random.Random) -> str:
        """Return an IMSI of this operator."""
        network = self.plmn.replace("-", "")
        return network + _digits(rng, IMSI_DIGITS - len(network))

    def msisdn(self, rng: random.Random) -> str:
        """Return a valid mobile number in E.164."""
        for _ in range(MAX_TRIES):
            beginning = rng.choice(self.mobile)
            rest = _digits(rng, self.digits - len(beginning))
            number = f"+{self.calling_code}{beginning}{rest}"
            if phonenumbers.number_type(phonenumbers.parse(number)) in MOBILE:
                return number
        raise AssertionError(f"the mobile ranges of {self.name} hold no valid number")

    def iccid(self, rng: random.Random) -> str:
        """Return an ICCID with its check digit."""
        number = self.issuer + _digits(rng, ICCID_DIGITS - 1 - len(self.issuer))
        return number + str(stdnum.luhn.calc_check_digit(number))


def _digits(rng: random.Random, count: int) -> str:
    return f"{rng.randrange(10**count):0{count}}"


def _operator(
    name: str, country: str, plmn: str, *, calling: str, mobile: str, issuer: str, cities: str
) -> Operator:
    """Read one row of the table; `mobile` shows x for each digit that varies."""
    ranges = mobile.split()
    return Operator(
        name=name,
        country=country,
        plmn=plmn,
        calling_code=calling,
        mobile=tuple(shown.rstrip("x") for shown in ranges),
        digits=len(ranges[0]),
        issuer=issuer,
        cities=tuple(cities.split()),
    )


# fmt: off
OPERATORS = (
    _operator("T-Mobile US", "US", "310-260", calling="1", issuer="8901260",
              mobile="206755xxxx 425922xxxx 917405xxxx", cities="sea nyc dal"),
    _operator("Telcel", "MX", "334-020", calling="52", issuer="8952020",
              mobile="5554xxxxxx 5510xxxxxx", cities="cdmx gdl"),
    _operator("Vivo", "BR", "724-11", calling="55", issuer="895511",
              mobile="119xxxxxxxx 219xxxxxxxx", cities="sao rio"),
    _operator("EE", "GB", "234-30", calling="44", issuer="894430",
              mobile="7940xxxxxx 7973xxxxxx", cities="lon man"),
    _operator("Telekom Deutschland", "DE", "262-01", calling="49", issuer="894902",
              mobile="1511xxxxxxx 1512xxxxxxx 1517xxxxxxx", cities="ber fra muc"),
    _operator("Orange France", "FR", "208-01", calling="33", issuer="893301",
              mobile="607xxxxxx 630xxxxxx", cities="par lyo"),
    _operator("TIM", "IT", "222-01", calling="39", issuer="893901",
              mobile="335xxxxxxx 338xxxxxxx", cities="rom mil"),
    _operator("Movistar", "ES", "214-07", calling="34", issuer="893407",
              mobile="609xxxxxx 619xxxxxx", cities="mad bcn"),
    _operator("KPN", "NL", "204-08", calling="31", issuer="893108",
              mobile="653xxxxxx 620xxxxxx", cities="ams rtm"),
    _operator("Telia", "SE", "240-01", calling="46", issuer="894601",
              mobile="703xxxxxx 706xxxxxx", cities="sto got"),
    _operator("Orange Polska", "PL", "260-03", calling="48", issuer="894803",
              mobile="501xxxxxx 510xxxxxx", cities="waw krk"),
    _operator("Turkcell", "TR", "286-01", calling="90", issuer="899001",
              mobile="532xxxxxxx 535xxxxxxx", cities="ist ank"),
    _operator("MTN Nigeria", "NG", "621-30", calling="234", issuer="8923430",
              mobile="803xxxxxxx 806xxxxxxx", cities="los abv"),
    _operator("Safaricom", "KE", "639-02", calling="254", issuer="8925402",
              mobile="722xxxxxx 710xxxxxx", cities="nbo mba"),
    _operator("Vodacom", "ZA", "655-01", calling="27", issuer="892701",
              mobile="82xxxxxxx 76xxxxxxx", cities="jnb cpt"),
    _operator("Etisalat", "AE", "424-02", calling="971", issuer="8997102",
              mobile="50xxxxxxx 56xxxxxxx", cities="dxb auh"),
    _operator("Airtel", "IN", "404-10", calling="91", issuer="899110",
              mobile="98100xxxxx 98180xxxxx", cities="del blr"),
    _operator("Singtel", "SG", "525-01", calling="65", issuer="896501",
              mobile="9xxxxxxx", cities="sin"),
    _operator("NTT DOCOMO", "JP", "440-10", calling="81", issuer="898110",
              mobile="90xxxxxxxx 80xxxxxxxx", cities="tyo osa"),
    _operator("SK Telecom", "KR", "450-05", calling="82", issuer="898205",
              mobile="10xxxxxxxx", cities="sel pus"),
    _operator("Telstra", "AU", "505-01", calling="61", issuer="896101",
              mobile="417xxxxxx 427xxxxxx", cities="syd mel"),
)
# fmt: on
