namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>Shapes that several keys share.</summary>
internal static class Shapes
{
    /// <summary>RFC 1035 label in lower case: names become host names, file names and store keys.</summary>
    public const string NamePattern = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?";
    public const string NameWhat = "a name of 1 to 63 of a-z, 0-9 and '-', beginning with a letter";

    public static readonly TextShape Name = new(NameWhat, NamePattern);
    public static readonly TextShape Text = new("text");
    public static readonly ListShape Names = new(Name);
    public static readonly ListShape Command = new(Text, OrOne: true, Least: 1);
    public static readonly AddressShape Address = new();
    public static readonly BooleanShape Boolean = new();
    public static readonly IntegerShape Port = new(1, 65535);

    public static NamesShape Named(Shape value) => new(NameWhat, NamePattern, value);
    public static DurationShape Time(string least, string greatest)
    {
        return new(Parse(least), Parse(greatest));
        static TimeSpan Parse(string text) => Values.Duration.TryParse(text, out var value) ? value : throw new ArgumentException(text);
    }
}
