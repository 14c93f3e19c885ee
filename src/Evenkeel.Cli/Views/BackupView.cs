using System.Globalization;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Spectre.Console;

namespace Evenkeel.Cli.Views;

/// <summary>The backup jobs as a table.</summary>
internal static class BackupView
{
    public static Table Of(StatusReport report)
    {
        var table = StatusView.Plain("BACKUP", "OF", "LAST GOOD", "STORED", "STATE", "NEXT");
        foreach (var job in report.Backups)
            table.AddRow(Markup.Escape(job.Job), Markup.Escape(job.Source), LastGood(job, report.At),
                job.LastGood is { } good ? $"{ByteSize.Format(good.BytesStored)} of {ByteSize.Format(good.BytesRead)}" : "-", State(job),
                job.Next is { } next ? $"{Words(job.NextTask)} {next.ToLocalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)}" : "-");
        return table;
    }

    private static string LastGood(BackupReport job, DateTimeOffset now) => job.LastGood is { } good
        ? $"{Words(good.Task)} {Age(now - DateTimeOffset.FromUnixTimeSeconds(good.Ended))} ago, {good.Node}" : "[yellow]never[/]";

    private static string State(BackupReport job) => job switch
    {
        { Running: { } run } => $"[green]{Words(run.Task)} on {run.Node}[/]",
        { Failures: > 0 } => $"[red]failed {job.Failures}×[/]",
        { Missed: not null } => "[yellow]due[/]",
        { LastGood.Warnings.Count: > 0 } => "[yellow]incomplete[/]",
        _ => "waits",
    };

    private static string Words(BackupTask? task) => task?.ToString().ToLowerInvariant() ?? "";

    private static string Age(TimeSpan age) => Duration.Format(age switch
    {
        { TotalMinutes: < 2 } => TimeSpan.FromSeconds(Math.Max(0, Math.Floor(age.TotalSeconds))),
        { TotalHours: < 2 } => TimeSpan.FromMinutes(Math.Floor(age.TotalMinutes)),
        _ => TimeSpan.FromHours(Math.Floor(age.TotalHours)),
    });
}
