using System.Globalization;
using System.Text.RegularExpressions;

namespace Evenkeel.Backup.Policy;

/// <summary>
/// When something runs: calendar words or cron. <c>hourly</c>, <c>daily at 02:30</c>, <c>daily at 06:00, 18:00</c>, <c>weekdays at 22:00</c>,
/// <c>weekly on sunday at 03:00</c>, <c>monthly on last at 04:00</c>, <c>yearly</c>, <c>every 15 minutes</c>, <c>30 2 * * 1-5</c>.
/// </summary>
/// <remarks>Times are those of a time zone's clocks. A time that the spring change skips runs at the first moment after it; one that the
/// autumn change repeats runs the first time only.</remarks>
public sealed partial class Schedule
{
    private static readonly string[] Weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    private readonly List<CronRule> _rules;

    private Schedule(string text, List<CronRule> rules)
    {
        Text = text;
        _rules = rules;
    }

    /// <summary>As given.</summary>
    public string Text { get; }

    /// <summary>Reads a schedule; fails with <see cref="FormatException"/> that says what is possible.</summary>
    public static Schedule Parse(string text)
    {
        var words = string.Join(' ', text.ToLowerInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries));
        if (Words().Match(words) is { Success: true } match)
        {
            var times = match.Groups["times"].Success
                ? match.Groups["times"].Value.Split(',').Select(t => TimeOnly.ParseExact(t.Trim(), "H:mm", CultureInfo.InvariantCulture)) : [TimeOnly.MinValue];
            var day = match.Groups["on"].Value;
            return new Schedule(text, [.. times.Select(t => new CronRule($"{t.Minute} {Rest(match.Groups["word"].Value, day, t)}"))]);
        }
        if (Every().Match(words) is { Success: true } every)
        {
            return new Schedule(text, [new CronRule(Steps(every, text))]);
        }
        // Letters at the beginning mean words, and cron's complaint about them would help nobody.
        return words.Length > 0 && !char.IsLetter(words[0]) ? new Schedule(text, [new CronRule(text)])
            : throw new FormatException($"'{text}' is no schedule; such as 'daily at 02:30', 'weekly on sunday at 03:00', 'every 15 minutes', or cron's '30 2 * * *'");
    }

    /// <summary>The first moment after <paramref name="after"/>; null when there never is one.</summary>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        DateTimeOffset? first = null;
        foreach (var rule in _rules)
        {
            var local = TimeZoneInfo.ConvertTime(after, zone).DateTime;
            while (rule.Next(local) is { } next)
            {
                var instant = InZone(next, zone);
                if (instant > after)
                {
                    first = first is null || instant < first ? instant : first;
                    break;
                }
                // The repeated hour of autumn: its first pass is over.
                local = next;
            }
        }
        return first;
    }

    private static DateTimeOffset InZone(DateTime local, TimeZoneInfo zone)
    {
        while (zone.IsInvalidTime(local))
        {
            local = local.AddMinutes(1);
        }
        var offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Max() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local, offset);
    }

    private static string Rest(string word, string day, TimeOnly time) => (word, day) switch
    {
        ("hourly", "") => "* * * *",
        ("daily", "") => $"{time.Hour} * * *",
        ("weekdays", "") => $"{time.Hour} * * 1-5",
        ("weekly", "") => $"{time.Hour} * * 0",
        ("weekly", _) when Array.IndexOf(Weekdays, day) is >= 0 and var number => $"{time.Hour} * * {number}",
        ("monthly", "") => $"{time.Hour} 1 * *",
        ("monthly", "last") => $"{time.Hour} L * *",
        ("monthly", _) when int.TryParse(day, out var number) && number is >= 1 and <= 28 => $"{time.Hour} {number} * *",
        ("yearly", "") => $"{time.Hour} 1 1 *",
        _ => throw new FormatException($"'{word} on {day}' makes no sense; weekly is on a weekday, monthly on 1 to 28 or last"),
    };

    private static string Steps(Match every, string text)
    {
        var number = every.Groups["number"].Success ? int.Parse(every.Groups["number"].Value, CultureInfo.InvariantCulture) : 1;
        var minutes = every.Groups["unit"].Value.StartsWith('m');
        var whole = minutes ? 60 : 24;
        // 'Every 7 minutes' would have a gap of 4 at each full hour.
        return number > 0 && number < whole && whole % number == 0
            ? minutes ? $"*/{number} * * * *" : $"0 */{number} * * *"
            : throw new FormatException($"'{text}': the number must divide {whole}");
    }

    [GeneratedRegex(@"^(?<word>hourly|daily|weekdays|weekly|monthly|yearly)( on (?<on>[a-z]+|\d{1,2}))?( at (?<times>([01]?\d|2[0-3]):[0-5]\d(, ?([01]?\d|2[0-3]):[0-5]\d)*))?$")]
    private static partial Regex Words();

    [GeneratedRegex(@"^every ((?<number>\d{1,2}) )?(?<unit>minutes?|hours?)$")]
    private static partial Regex Every();
}
