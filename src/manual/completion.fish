# fish completion of l7egg-cli: save what `l7egg-cli completion fish` prints as
# /usr/share/fish/vendor_completions.d/l7egg-cli.fish, or source it. It starts no l7egg-cli.

set -g __l7egg_cli_table (string split \n -- '@TABLE@')

# Prints the lines whose first fields are the arguments, without these fields.
function __l7egg_cli_find
    set -l wanted (string join \t -- $argv)\t
    set -l length (string length -- $wanted)
    for line in $__l7egg_cli_table
        if test (string sub -l $length -- $line) = $wanted
            string sub -s (math $length + 1) -- $line
        end
    end
end

# Prints what can stand where the table has $what and the line has $value; after a tab what it means.
function __l7egg_cli_values -a what value
    set -l found
    switch $what
        case -
            return
        case @files
            __fish_complete_path $value
            return
        case @presets @commands
            for line in (__l7egg_cli_find (string sub -s 2 -e -1 -- $what))
                set -l fields (string split \t -- $line)
                printf '%s\t%s\n' $fields[1] $fields[4]
            end
            return
        case @interfaces
            set found /sys/class/net/*/
        case @instances
            set found /run/l7egg/*/
        case @netns
            set found /run/netns/*
        case @cgroups
            if string match -q -- '/*' $value
                for root in /sys/fs/cgroup/unified /sys/fs/cgroup
                    for path in $root$value*/
                        test -e $path/cgroup.procs
                        and set -a found (string sub -s (math (string length -- $root) + 1) -e -1 -- $path)
                    end
                end
            else
                for path in /sys/fs/cgroup/system.slice/*.service /sys/fs/cgroup/unified/system.slice/*.service
                    set -a found unit:(string replace -r '.*/' '' -- $path)
                end
            end
        case '*'
            set found (string split , -- $what)
    end
    if contains -- $what @interfaces @instances @netns
        set found (string replace -r '^.*/([^/]+)/?$' '$1' -- $found)
    end
    # Names of things on this host may hold anything: those that would need quotes are left out.
    string match -r -- '^[A-Za-z0-9@._:+/=-]+$' $found
end

function __l7egg_cli_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l command ''
    set -l expected ''
    set -l position 0
    for index in (seq 2 (count $words))
        set -l word $words[$index]
        if test -n "$expected"
            set expected ''
            continue
        end
        switch $word
            case --
                test "$command" = run
                or return
                # What stands behind is a command line of its own.
                set -l rest (string escape -- $words[(math $index + 1)..])
                complete -C (string join ' ' -- $rest $current)
                return
            case '-*=*'
            case '-?*'
                set -l name (string replace -r '^--?' '' -- $word)
                string match -q -r -- \t(string escape --style=regex -- $name)\tboolean\t $__l7egg_cli_table
                or set expected $name
            case '*'
                if test -z "$command"
                    set command $word
                else
                    set position (math $position + 1)
                end
        end
    end

    set -l whose $command
    test -n "$whose"
    or set whose enforce
    set -l before ''
    set -l value $current
    if test -n "$expected"; or string match -q -- '-*=*' $current
        if test -z "$expected"
            set expected (string replace -r '^--?([^=]*)=.*' '$1' -- $current)
            set before (string replace -r '=.*' '=' -- $current)
            set value (string replace -r '^[^=]*=' '' -- $current)
        end
        set -l fields (__l7egg_cli_find flag $whose $expected | string split \t)
        test (count $fields) -gt 0
        or return
        if test $fields[1] = list; and string match -q -- '*,*' $value
            set before $before(string replace -r '[^,]*$' '' -- $value)
            set value (string replace -r '.*,' '' -- $value)
        end
        for each in (__l7egg_cli_values $fields[2] $value)
            printf '%s%s\n' $before $each
        end
    else if string match -q -- '-*' $current
        set -l dashes -
        string match -q -- '--*' $current
        and set dashes --
        for line in (__l7egg_cli_find flag $whose)
            set -l fields (string split \t -- $line)
            set -l mark =
            test $fields[2] = boolean
            and set mark ''
            printf '%s%s%s\t%s\n' $dashes $fields[1] $mark $fields[4]
        end
    else if test -z "$command"
        __l7egg_cli_values @commands ''
    else
        set -l fields (__l7egg_cli_find word $command (math $position + 1) | string split \t)
        test (count $fields) -gt 0
        or return
        __l7egg_cli_values $fields[1] $value
        test $command = help
        and printf 'all\tall there is\n'
    end
end

complete -c l7egg-cli -f -a '(__l7egg_cli_complete)'
