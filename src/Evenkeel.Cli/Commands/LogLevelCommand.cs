using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Cli.Commands;

/// <summary><c>log-level</c>: what one agent logs, changed while it runs.</summary>
internal static class LogLevelCommand
{
    private static readonly string[] s_levels = ["trace", "debug", "information", "warning", "error"];

    public static Command Create()
    {
        var category = new Argument<string?>("CATEGORY") { Description = "As the list names it, or 'all'. Without it: the list.", Arity = ArgumentArity.ZeroOrOne };
        var level = new Argument<string?>("LEVEL") { Description = string.Join(", ", s_levels) + ".", Arity = ArgumentArity.ZeroOrOne, HelpName = "LEVEL" };
        level.CompletionSources.Add(s_levels);
        level.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } given && !s_levels.Contains(given)) result.AddError($"'{given}' is no level; known: {string.Join(", ", s_levels)}.");
        });
        var lasts = new Option<string>("--for") { Description = "How long it stays so: 10m, 1h, at most 7d. Then it is 'information' again.", HelpName = "TIME", DefaultValueFactory = _ => "1h" };
        lasts.Validators.Add(result =>
        {
            if (!Duration.TryParse(result.GetValueOrDefault<string>() ?? "", out _)) result.AddError("--for is a time like 30m, 1h, 7d.");
        });
        var reset = new Option<bool>("--reset") { Description = "Back to 'information' now: the category given, or all." };
        var output = Options.Output();
        var command = new DescribedCommand("log-level", "Shows or changes what an agent logs, by category, for a time.", """
            It is this node's agent alone (or that of --cluster SOCKET), and a restarted agent has forgotten it. Lines go
            where the agent's log goes: journalctl -u evenkeel. A change is on the audit trail. At 'trace' the decision
            loop tells some hundred lines a second; what cannot be written as fast is dropped, and counted.
            """)
        { category, level, lasts, reset, output };
        command.Validators.Add(result =>
        {
            if (result.GetValue(reset) && result.GetValue(level) is not null) result.AddError("Either LEVEL or --reset.");
            else if (result.GetValue(category) is not null && result.GetValue(level) is null && !result.GetValue(reset)) result.AddError("Which LEVEL? Or --reset.");
        });
        return command.Acts(async call =>
        {
            var json = call.Parsed.GetValue(output) == OutputFormat.Json;
            var which = call.Parsed.GetValue(category) is { } named && named != "all" ? named : null;
            if (call.Parsed.GetValue(level) is null && !call.Parsed.GetValue(reset))
            {
                Print(call.Output, await call.Client.LogLevelsAsync(call.Cancellation), json);
                return ExitCode.Success;
            }

            _ = Duration.TryParse(call.Parsed.GetValue(lasts)!, out var time);
            LogLevel? wanted = call.Parsed.GetValue(level) is { } word ? Enum.Parse<LogLevel>(word, ignoreCase: true) : null;
            var done = await call.Client.SetLogLevelAsync(new LogLevelOrder(which, wanted, time), call.Cancellation);
            call.Output.WriteLine(json ? JsonSerializer.Serialize(done, ClientJson.Default.Done) : done.Message);
            return ExitCode.Success;
        });
    }

    private static void Print(TextWriter output, LogLevelsReport report, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(report, ClientJson.Default.LogLevelsReport));
            return;
        }

        foreach (var one in report.Categories)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{one.Category,-9} {one.Level.ToString().ToLowerInvariant(),-12} {(one.Until is { } until ? $"until {until.ToLocalTime():yyyy-MM-dd HH:mm:ss}  " : "")}{one.About}"));
    }
}
