using Spectre.Console;

namespace Evenkeel.Cli.Commands.Bundle;

/// <summary>On a terminal: a bar on standard error with what is looked at; elsewhere nothing.</summary>
internal sealed class BundleProgress
{
    private readonly ProgressTask? _bar;

    private BundleProgress(ProgressTask? bar) => _bar = bar;

    public static async Task<T> ShowAsync<T>(Func<BundleProgress, Task<T>> work)
    {
        if (Console.IsErrorRedirected)
            return await work(new BundleProgress(null));
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return await console.Progress().AutoClear(true).Columns(new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn())
            .StartAsync(context => work(new BundleProgress(context.AddTask("looking"))));
    }

    public void Expect(int things)
    {
        if (_bar is not null)
            _bar.MaxValue = things;
    }

    public void Takes(string what)
    {
        if (_bar is not null)
            _bar.Description = Markup.Escape(what);
    }

    public void Took(string what)
    {
        Takes(what);
        _bar?.Increment(1);
    }
}
