using Xunit;

namespace Evenkeel.Simulation.Scenarios;

/// <summary>
/// One readable file a failover story: what happens, then, below <c>---</c>, what shall come of it. After a wanted change of
/// behaviour, run with EVENKEEL_ACCEPT=DIRECTORY (the source folder), read the difference, commit it.
/// </summary>
public sealed class ScenarioTests
{
    private static readonly string folder = Path.Combine(AppContext.BaseDirectory, "Scenarios");

    public static TheoryData<string> Stories => [.. Directory.GetFiles(folder, "*.txt").Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Stories))]
    public void Story_Played_EndsAsWritten(string story)
    {
        var lines = File.ReadAllLines(Path.Combine(folder, story + ".txt"));
        var told = Story.Tell(lines.TakeWhile(line => line != "---").Where(line => line.Length > 0 && line[0] != '#'));
        if (Environment.GetEnvironmentVariable("EVENKEEL_ACCEPT") is { Length: > 0 } accept)
        {
            File.WriteAllText(Path.Combine(accept, story + ".txt"), string.Join('\n', [.. lines.TakeWhile(line => line != "---"), "---", told]));
            return;
        }
        Assert.Equal(string.Join('\n', lines.SkipWhile(line => line != "---").Skip(1)).TrimEnd(), told.TrimEnd());
    }
}
