using System.CommandLine;
using Evenkeel.Cli;
using Evenkeel.Cli.Manual;
using Xunit;

namespace Evenkeel.Tests.Cli;

/// <summary>The manual that packages ship is the command line's own.</summary>
public sealed class ManualTests
{
    private static readonly IReadOnlyList<(string File, string Page)> s_pages = ManualPages.All(CommandLine.Create(), "1.2.3");

    [Fact]
    public void EveryCommand_HasAPage_ThatTheProgramsPageNames()
    {
        var root = s_pages[0];
        Assert.Equal("evenkeel.8", root.File);
        foreach (var command in CommandLine.Create().Subcommands.Where(command => !command.Hidden))
        {
            Assert.Contains(s_pages, page => page.File == $"evenkeel-{command.Name}.8");
            Assert.Contains(Roff.Escape($"evenkeel-{command.Name}(8)"), root.Page, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void EveryOption_IsOnItsPage()
    {
        foreach (var command in CommandLine.Create().Subcommands.Where(command => !command.Hidden)) Check(s_pages.Single(page => page.File == $"evenkeel-{command.Name}.8").Page, command);
        static void Check(string page, Command command)
        {
            foreach (var option in command.Options.Where(option => !option.Hidden)) Assert.Contains(Roff.Escape(option.Name), page, StringComparison.Ordinal);
            foreach (var inner in command.Subcommands.Where(inner => !inner.Hidden)) Check(page, inner);
        }
    }

    [Theory]
    [InlineData(".so /etc/shadow", "\\&.so /etc/shadow")]
    [InlineData("'quoted'", "\\(aqquoted\\(aq")]
    [InlineData("a\\b --c", "a\\eb \\-\\-c")]
    [InlineData("TOKEN=… 🛟", "TOKEN=\\[u2026] \\[u1F6DF]")]
    public void Text_IsNeverARequest(string text, string expected) => Assert.Equal(expected, new Roff().Text(text).ToString().TrimEnd('\n'));

    [Fact]
    public void Text_WithIndentedLines_IsKeptAsItIs() =>
        Assert.Equal(".nf\nTable:\n  a  b\n.fi\n.PP\nOne paragraph\nfilled.\n", new Roff().Text("Table:\n  a  b\n\nOne paragraph\nfilled.").ToString());

    [Fact]
    public void Command_PrintsAPage_OrSaysThatThereIsNone()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(0, CommandLine.Run(["manual", "status"], output, error));
        Assert.StartsWith(".TH \"EVENKEEL\\-STATUS\" 8", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, CommandLine.Run(["manual", "statu"], output, error));
        Assert.Contains("there is no command 'statu'", error.ToString(), StringComparison.Ordinal);
    }
}
