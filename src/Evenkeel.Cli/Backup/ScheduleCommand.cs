using System.CommandLine;
using System.Globalization;
using Evenkeel.Backup.Policy;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup schedule</c>: what a schedule means, before it is relied on.</summary>
internal static class ScheduleCommand
{
    public static Command Create()
    {
        var words = new Argument<string[]>("SCHEDULE") { Description = "Such as: daily at 02:30; weekly on sunday at 03:00; every 15 minutes; '30 2 * * 1-5'.", Arity = ArgumentArity.OneOrMore };
        var count = new Option<int>("--count", "-n") { Description = "How many moments to show, 1 to 1000.", DefaultValueFactory = _ => 5 };
        count.Validators.Add(r => { if (r.GetValueOrDefault<int>() is < 1 or > 1000) r.AddError("--count is 1 to 1000."); });
        var output = Options.Output();
        var command = new Command("schedule", "Shows the next moments of a schedule, in this machine's time zone.") { words, count, output };
        command.SetAction(parsed =>
        {
            var schedule = Read(string.Join(' ', parsed.GetRequiredValue(words)));
            var moments = new List<DateTimeOffset>();
            var at = DateTimeOffset.Now;
            while (moments.Count < parsed.GetValue(count) && schedule.Next(at, TimeZoneInfo.Local) is { } next)
            {
                moments.Add(next);
                at = next;
            }
            if (moments.Count == 0)
            {
                throw new CommandFailedException(ExitCode.Usage, $"'{schedule.Text}' never comes");
            }
            var console = parsed.InvocationConfiguration.Output;
            console.WriteLine(parsed.GetValue(output) == OutputFormat.Json ? BackupJson.Text<IReadOnlyList<DateTimeOffset>>(moments)
                : string.Join('\n', moments.Select(m => m.ToString("ddd yyyy-MM-dd HH:mm zzz", CultureInfo.InvariantCulture))));
            return ExitCode.Success;
        });
        return command;
    }

    private static Schedule Read(string text)
    {
        try
        {
            return Schedule.Parse(text);
        }
        catch (FormatException e)
        {
            throw new CommandFailedException(ExitCode.Usage, e.Message);
        }
    }
}
