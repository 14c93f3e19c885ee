using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Cli.Backup;
using Evenkeel.Raid.Advice;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid advise</c>.</summary>
internal static class AdviseCommand
{
    public static Command Create()
    {
        var disks = new Option<int>("--disks") { Description = "How many disks.", Required = true, HelpName = "N" };
        var size = new Option<double>("--size") { Description = "TB (10^12 bytes) of the smallest.", Required = true, HelpName = "TB" };
        var failures = new Option<double>("--failures") { Description = "Per cent of disks that fail in a year.", DefaultValueFactory = _ => 1.5, HelpName = "PERCENT" };
        var rate = new Option<double>("--rate") { Description = "MB/s of a rebuild.", DefaultValueFactory = _ => 100, HelpName = "MB" };
        var errors = new Option<double>("--unreadable") { Description = "Unreadable bits per bit read, from the data sheet.", DefaultValueFactory = _ => 1e-15, HelpName = "RATE" };
        var wait = new Option<double>("--wait") { Description = "Hours until a rebuild begins; 0 with a hot spare.", DefaultValueFactory = _ => 0, HelpName = "HOURS" };
        var output = Cli.Options.Output();
        var command = new DescribedCommand("advise", "Compares the levels for your disks: capacity, rebuild time, mean time to data loss.",
            "The model takes disks to fail independently and at a constant rate. Disks of one batch do not: compare the numbers, trust none.\n"
            + "No level is a backup.") { disks, size, failures, rate, errors, wait, output };
        command.SetAction((parsed, _) => RaidGuard.RunAsync(() =>
        {
            if (parsed.GetValue(failures) is not (> 0 and <= 100)) throw new CommandFailedException(ExitCode.Usage, "--failures is a percentage above 0.");
            var advice = ArrayAdvice.For(new DiskFacts(
                parsed.GetValue(disks), (long)(parsed.GetValue(size) * 1e12), TimeSpan.FromHours(8766 * 100 / parsed.GetValue(failures)),
                parsed.GetValue(rate) * 1e6, parsed.GetValue(errors), TimeSpan.FromHours(parsed.GetValue(wait))));
            var writer = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(output) == OutputFormat.Json) writer.WriteLine(JsonSerializer.Serialize(advice, RaidJson.Default.IReadOnlyListLevelAdvice));
            else
            {
                writer.WriteLine("level   capacity   survives  rebuild   read error in it   mean years to data loss");
                foreach (var row in advice)
                    writer.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"{(int)row.Level,5} {Sizes.Of(row.CapacityBytes),10} {row.Survives,10}  {row.Rebuild.TotalHours,5:0.0} h {row.RebuildReadError,17:P2} {row.MeanYearsToDataLoss,22:#,##0}"));
            }

            return Task.FromResult(ExitCode.Success);
        }));
        return command;
    }
}
