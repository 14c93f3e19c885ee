using System.Globalization;

namespace Evenkeel.Backup.Policy;

/// <summary>A cron expression of five fields: minute, hour, day of month, month, day of week.</summary>
/// <remarks>Source: crontab(5). Lists, ranges, steps and English names; <c>L</c> as day of month is its last day. When both days are
/// restricted, either suffices, as cron has it.</remarks>
internal sealed class CronRule
{
    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    private const int YearsAhead = 9; // the longest gap: 29 February around a century that is no leap year
    private readonly bool[] _minutes, _hours, _monthDays, _months, _weekDays;
    private readonly bool _lastDay, _anyMonthDay, _anyWeekDay;

    /// <summary>Fails with <see cref="FormatException"/>.</summary>
    public CronRule(string expression)
    {
        var fields = expression.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 5)
        {
            throw new FormatException($"'{expression}' has {fields.Length} fields; cron has 5: minute hour day month weekday");
        }
        _minutes = Field(fields[0], 0, 59, []);
        _hours = Field(fields[1], 0, 23, []);
        _lastDay = fields[2] == "L";
        _monthDays = Field(_lastDay ? "31" : fields[2], 1, 31, []);
        _months = Field(fields[3], 1, 12, Months);
        _weekDays = Field(fields[4], 0, 7, Days);
        _weekDays[0] |= _weekDays[7];
        // As cron: a field that begins with a star restricts nothing in the 'either day' rule.
        _anyMonthDay = fields[2][0] == '*';
        _anyWeekDay = fields[4][0] == '*';
    }

    /// <summary>The first minute after <paramref name="local"/> that fits; null when none ever does (30 February).</summary>
    public DateTime? Next(DateTime local)
    {
        var day = local.Date;
        for (var limit = day.AddYears(YearsAhead); day < limit; day = day.AddDays(1))
        {
            if (!Fits(day))
            {
                continue;
            }
            for (var minute = day == local.Date ? (int)local.TimeOfDay.TotalMinutes + 1 : 0; minute < 24 * 60; minute++)
            {
                if (_hours[minute / 60] && _minutes[minute % 60])
                {
                    return day.AddMinutes(minute);
                }
            }
        }
        return null;
    }

    private bool Fits(DateTime day)
    {
        if (!_months[day.Month])
        {
            return false;
        }
        var byMonth = _lastDay ? day.AddDays(1).Day == 1 : _monthDays[day.Day];
        var byWeek = _weekDays[(int)day.DayOfWeek];
        return _anyMonthDay || _anyWeekDay ? byMonth && byWeek : byMonth || byWeek;
    }

    private static bool[] Field(string text, int least, int most, string[] names)
    {
        var chosen = new bool[most + 1];
        foreach (var part in text.Split(','))
        {
            var stepAt = part.IndexOf('/', StringComparison.Ordinal);
            var range = stepAt < 0 ? part : part[..stepAt];
            var step = stepAt < 0 ? 1 : Number(part[(stepAt + 1)..], 1, most, []);
            var dash = range.IndexOf('-', StringComparison.Ordinal);
            var (from, to) = range == "*" ? (least, most)
                : dash > 0 ? (Number(range[..dash], least, most, names), Number(range[(dash + 1)..], least, most, names))
                : (Number(range, least, most, names), stepAt < 0 ? Number(range, least, most, names) : most);
            if (from > to)
            {
                throw new FormatException($"'{part}' runs backwards");
            }
            for (var i = from; i <= to; i += step)
            {
                chosen[i] = true;
            }
        }
        return chosen;
    }

    private static int Number(string text, int least, int most, string[] names)
    {
        var named = Array.IndexOf(names, text.ToLowerInvariant());
        var value = named >= 0 ? named + (names.Length == 12 ? 1 : 0)
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1;
        return value >= least && value <= most ? value : throw new FormatException($"'{text}' is not between {least} and {most}");
    }
}
