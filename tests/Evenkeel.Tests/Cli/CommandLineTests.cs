using System.CommandLine;
using System.Text.Json;
using Evenkeel.Cli;
using Evenkeel.Tests.Configuration;
using Xunit;

namespace Evenkeel.Tests.Cli;

public sealed class CommandLineTests
{
    [Fact]
    public void Run_WithAnUnknownCommand_IsUsageOnStandardError()
    {
        var (code, output, error) = ControlHost.Evenkeel("statsu");
        Assert.Equal((ExitCode.Usage, ""), (code, output));
        Assert.Contains("status", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WithAMissingArgument_NamesTheCommandWhoseHelpHelps() =>
        Assert.EndsWith("See 'evenkeel config check --help'.\n", ControlHost.Evenkeel("config", "check").Error, StringComparison.Ordinal);

    [Fact]
    public void ConfigCheck_OfAGoodFile_ExitsZero_OfABadOneThreeWithEveryLine()
    {
        using var directory = new TemporaryDirectory();
        Assert.Equal(ExitCode.Success, ControlHost.Evenkeel("config", "check", directory.Write("good.yaml", Examples.Web)).Code);
        var bad = directory.Write("bad.yaml", Examples.Spoil("redundancy: hot", "redundancy: hto").Replace("vip: front", "vip: back", StringComparison.Ordinal));
        var (code, output, error) = ControlHost.Evenkeel("config", "check", bad);
        Assert.Equal((ExitCode.Configuration, ""), (code, output));
        Assert.Contains("bad.yaml:12:17: error:", error, StringComparison.Ordinal);
        Assert.Contains("bad.yaml:14:22: error:", error, StringComparison.Ordinal);
        var json = JsonDocument.Parse(ControlHost.Evenkeel("config", "check", bad, "--output", "json").Output).RootElement;
        Assert.Equal([12, 14], json.EnumerateArray().Select(found => found.GetProperty("line").GetInt32()));
    }

    [Fact]
    public void EveryCommand_HasASummaryOfOneLine_AndEveryArgumentAndOptionADescription()
    {
        foreach (var command in Commands(CommandLine.Create()))
        {
            Assert.False(string.IsNullOrEmpty(command.Description), command.Name);
            Assert.True(command is RootCommand || !command.Description!.Contains('\n', StringComparison.Ordinal), $"{command.Name}: details belong to its own help");
            Assert.All(command.Arguments, argument => Assert.False(string.IsNullOrEmpty(argument.Description), $"{command.Name} {argument.Name}"));
            Assert.All(command.Options, option => Assert.False(string.IsNullOrEmpty(option.Description), $"{command.Name} {option.Name}"));
        }
    }

    [Fact]
    public void Help_OfACommand_ShowsItsDetails() =>
        Assert.Contains("Exit code 0 when everything is all right", ControlHost.Evenkeel("status", "--help").Output, StringComparison.Ordinal);

    [Fact]
    public void ExitCodes_AreAllDocumented()
    {
        var help = ControlHost.Evenkeel("--help").Output;
        foreach (var code in typeof(ExitCode).GetFields().Select(field => (int)field.GetRawConstantValue()!))
            Assert.Contains($"{code} ", help, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash", "complete -o filenames -F _evenkeel")]
    [InlineData("zsh", "#compdef evenkeel")]
    [InlineData("fish", "complete -c evenkeel")]
    public void Completion_ForAShell_IsItsScript(string shell, string line) =>
        Assert.Contains(line, ControlHost.Evenkeel("completion", shell).Output, StringComparison.Ordinal);

    [Fact]
    public void Suggest_OfAHalfWord_OffersWhatMayCome() =>
        Assert.Equal(["drain"], ControlHost.Evenkeel("[suggest:12]", "evenkeel dra").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));

    private static IEnumerable<Command> Commands(Command command) => command.Subcommands.SelectMany(Commands).Prepend(command);
}
