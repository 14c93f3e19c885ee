using System.Text;
using Spectre.Console;

namespace Evenkeel.Cli;

/// <summary>Rich text on a terminal, plain text elsewhere: NO_COLOR (https://no-color.org) and TERM=dumb are respected.</summary>
internal static class Terminal
{
    private const int PlainWidth = 160;

    /// <summary>Whether this writer is the process's standard output and that is a terminal.</summary>
    public static bool IsTerminal(TextWriter writer) => ReferenceEquals(writer, Console.Out) && !Console.IsOutputRedirected;

    public static IAnsiConsole For(TextWriter writer)
    {
        var terminal = IsTerminal(writer) && Environment.GetEnvironmentVariable("TERM") != "dumb";
        var colour = terminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = terminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = colour ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = terminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!terminal)
        {
            console.Profile.Width = PlainWidth;
            console.Profile.Encoding = Encoding.UTF8;
        }
        return console;
    }
}
