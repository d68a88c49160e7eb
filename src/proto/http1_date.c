/* Dates of HTTP (RFC 9110 section 5.6.7). */
#include "proto/http1_internal.h"

#include <string.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char *const long_days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static void two_digits(char *text, int number) {
    text[0] = (char)('0' + number / 10 % 10);
    text[1] = (char)('0' + number % 10);
}

void mw_http1_date(char text[MW_HTTP1_DATE], time_t moment) {
    struct tm parts;
    memcpy(text, "Sun, 06 Nov 1994 08:49:37 GMT", MW_HTTP1_DATE);
    if (!gmtime_r(&moment, &parts) || parts.tm_year < -1900 || parts.tm_year > 8099) {
        memcpy(text, "Thu, 01 Jan 1970 00:00:00 GMT", MW_HTTP1_DATE);
        return;
    }
    memcpy(text, days + 3 * parts.tm_wday, 3);
    two_digits(text + 5, parts.tm_mday);
    memcpy(text + 8, months + 3 * parts.tm_mon, 3);
    two_digits(text + 12, (parts.tm_year + 1900) / 100);
    two_digits(text + 14, parts.tm_year % 100);
    two_digits(text + 17, parts.tm_hour);
    two_digits(text + 20, parts.tm_min);
    two_digits(text + 23, parts.tm_sec);
}

/* A number of `count` digits; -1: it is none. */
static int number(const char *text, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!mw_http1_is_digit(text[i])) {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static bool is_day(const char *text) {
    for (int i = 0; i < 7; i++) {
        if (memcmp(text, days + 3 * i, 3) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_long_day(const char *text, size_t size) {
    for (int i = 0; i < 7; i++) {
        if (strlen(long_days[i]) == size && memcmp(text, long_days[i], size) == 0) {
            return true;
        }
    }
    return false;
}

static int month_of(const char *text) {
    for (int i = 0; i < 12; i++) {
        if (memcmp(text, months + 3 * i, 3) == 0) {
            return i;
        }
    }
    return -1;
}

static bool read_clock(struct tm *parts, const char *text) {
    parts->tm_hour = number(text, 2);
    parts->tm_min = number(text + 3, 2);
    parts->tm_sec = number(text + 6, 2);
    return text[2] == ':' && text[5] == ':';
}

/* A year of two digits that would be more than 50 years away is one of the last century. */
static int full_year(int year, time_t now) {
    struct tm today;
    gmtime_r(&now, &today);
    int century = (today.tm_year + 1900) / 100 * 100;
    return century + year > today.tm_year + 1950 ? century + year - 100 : century + year;
}

static int days_of(const struct tm *parts) {
    static const char counts[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = parts->tm_year + 1900;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return parts->tm_mon == 1 && is_leap ? 29 : counts[parts->tm_mon];
}

static bool is_sound(const struct tm *parts) {
    return parts->tm_mon >= 0 && parts->tm_year >= -1900 && parts->tm_mday >= 1 &&
           parts->tm_mday <= days_of(parts) && parts->tm_hour >= 0 && parts->tm_hour <= 23 &&
           parts->tm_min >= 0 && parts->tm_min <= 59 && parts->tm_sec >= 0 && parts->tm_sec <= 60;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool fixed(struct tm *parts, const char *text, size_t size) {
    if (size != 29 || !is_day(text) || memcmp(text + 3, ", ", 2) != 0 || text[7] != ' ' || text[11] != ' ' ||
        text[16] != ' ' || memcmp(text + 25, " GMT", 4) != 0) {
        return false;
    }
    parts->tm_mday = number(text + 5, 2);
    parts->tm_mon = month_of(text + 8);
    parts->tm_year = number(text + 12, 4) - 1900;
    return read_clock(parts, text + 17);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool rfc850(struct tm *parts, const char *text, size_t size) {
    const char *comma = memchr(text, ',', size);
    if (!comma || (size_t)(text + size - comma) != 24 || !is_long_day(text, (size_t)(comma - text)) ||
        comma[1] != ' ' || comma[4] != '-' || comma[8] != '-' || comma[11] != ' ' ||
        memcmp(comma + 20, " GMT", 4) != 0) {
        return false;
    }
    parts->tm_mday = number(comma + 2, 2);
    parts->tm_mon = month_of(comma + 5);
    int year = number(comma + 9, 2);
    parts->tm_year = year < 0 ? -2000 : full_year(year, time(NULL)) - 1900;
    return read_clock(parts, comma + 12);
}

/* "Sun Nov  6 08:49:37 1994" */
static bool asctime_form(struct tm *parts, const char *text, size_t size) {
    if (size != 24 || !is_day(text) || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' ||
        text[19] != ' ') {
        return false;
    }
    parts->tm_mon = month_of(text + 4);
    parts->tm_mday = text[8] == ' ' ? number(text + 9, 1) : number(text + 8, 2);
    parts->tm_year = number(text + 20, 4) - 1900;
    return read_clock(parts, text + 11);
}

bool mw_http1_parse_date(const char *text, size_t size, time_t *moment) {
    struct tm parts = {.tm_sec = 0};
    if (!fixed(&parts, text, size) && !rfc850(&parts, text, size) && !asctime_form(&parts, text, size)) {
        return false;
    }
    if (!is_sound(&parts)) {
        return false;
    }
    *moment = timegm(&parts);
    return true;
}
