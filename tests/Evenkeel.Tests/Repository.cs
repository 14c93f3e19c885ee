namespace Evenkeel.Tests;

/// <summary>The checkout that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "Evenkeel.slnx")))
            directory = directory.Parent ?? throw new InvalidOperationException("the tests run outside of a checkout");
        return directory.FullName;
    }
}
