import { Accordion, AccordionContent, AccordionItem, AccordionTrigger } from '@/components/ui/accordion';
import { Alert, AlertDescription, AlertTitle } from '@/components/ui/alert';
import { AspectRatio } from '@/components/ui/aspect-ratio';
import { Avatar, AvatarFallback } from '@/components/ui/avatar';
import { Badge } from '@/components/ui/badge';
import { Button } from '@/components/ui/button';
import { Carousel, CarouselContent, CarouselItem, CarouselNext, CarouselPrevious } from '@/components/ui/carousel';
import { Checkbox } from '@/components/ui/checkbox';
import { Command, CommandEmpty, CommandGroup, CommandInput, CommandItem, CommandList } from '@/components/ui/command';
import { Dialog, DialogContent, DialogDescription, DialogHeader, DialogTitle, DialogTrigger } from '@/components/ui/dialog';
import { DropdownMenu, DropdownMenuContent, DropdownMenuItem, DropdownMenuLabel, DropdownMenuTrigger } from '@/components/ui/dropdown-menu';
import { HoverCard, HoverCardContent, HoverCardTrigger } from '@/components/ui/hover-card';
import { Label } from '@/components/ui/label';
import { Pagination, PaginationContent, PaginationItem, PaginationLink, PaginationNext, PaginationPrevious } from '@/components/ui/pagination';
import { Popover, PopoverContent, PopoverTrigger } from '@/components/ui/popover';
import { RadioGroup, RadioGroupItem } from '@/components/ui/radio-group';
import { ScrollArea } from '@/components/ui/scroll-area';
import { Select, SelectContent, SelectItem, SelectTrigger, SelectValue } from '@/components/ui/select';
import { Separator } from '@/components/ui/separator';
import { Sheet, SheetContent, SheetTitle, SheetTrigger } from '@/components/ui/sheet';
import { Skeleton } from '@/components/ui/skeleton';
import { Slider } from '@/components/ui/slider';
import { Switch } from '@/components/ui/switch';
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '@/components/ui/table';
import { Tabs, TabsContent, TabsList, TabsTrigger } from '@/components/ui/tabs';
import { Textarea } from '@/components/ui/textarea';
import { Tooltip, TooltipContent, TooltipProvider, TooltipTrigger } from '@/components/ui/tooltip';
import { Markdown } from '@/components/markdown';
import { useRecoilValue } from 'recoil';
import { sessionIdState } from '@chainlit/react-client';
import * as Icons from 'lucide-react';
import * as React from 'react';

const ROWS = ['Lemon', 'Carrot', 'Cherry'];

const Parts = () => {
  const [speed, setSpeed] = React.useState([40]);
  const session = useRecoilValue(sessionIdState);
  return (
    <div className="flex flex-col gap-4" data-session={!!session}>
      <div className="flex flex-wrap items-center gap-3">
        <Checkbox id="fast" defaultChecked />
        <Label htmlFor="fast">Fast</Label>
        <Switch aria-label="Night" defaultChecked />
        <RadioGroup defaultValue="b" className="flex" aria-label="Letter">
          {['a', 'b'].map((one) => (
            <div key={one} className="flex items-center gap-1">
              <RadioGroupItem value={one} id={`letter-${one}`} />
              <Label htmlFor={`letter-${one}`}>{one}</Label>
            </div>
          ))}
        </RadioGroup>
        <Avatar className="h-8 w-8">
          <AvatarFallback>AL</AvatarFallback>
        </Avatar>
        <Badge variant="outline">
          <Icons.Star /> new
        </Badge>
        <div className="w-16">
          <AspectRatio ratio={2} className="rounded-md bg-primary" />
        </div>
      </div>
      <Slider aria-label="Speed" value={speed} onValueChange={setSpeed} />
      <Select defaultValue="Lemon">
        <SelectTrigger className="w-[180px]" aria-label="Flavour">
          <SelectValue placeholder="Flavour" />
        </SelectTrigger>
        <SelectContent>
          {ROWS.map((row) => (
            <SelectItem key={row} value={row}>
              {row}
            </SelectItem>
          ))}
        </SelectContent>
      </Select>
      <Textarea placeholder="More" aria-label="More" />
      <Tabs defaultValue="one">
        <TabsList>
          <TabsTrigger value="one">One</TabsTrigger>
          <TabsTrigger value="two">Two</TabsTrigger>
        </TabsList>
        <TabsContent value="one">
          <Markdown>The **first** tab</Markdown>
        </TabsContent>
        <TabsContent value="two">The second tab</TabsContent>
      </Tabs>
      <Accordion type="single" collapsible>
        <AccordionItem value="why">
          <AccordionTrigger>Why?</AccordionTrigger>
          <AccordionContent>Because.</AccordionContent>
        </AccordionItem>
      </Accordion>
      <Alert>
        <Icons.Info />
        <AlertTitle>Heads up</AlertTitle>
        <AlertDescription>It is late.</AlertDescription>
      </Alert>
      <Table>
        <TableHeader>
          <TableRow>
            <TableHead>Cake</TableHead>
            <TableHead>Price</TableHead>
          </TableRow>
        </TableHeader>
        <TableBody>
          {ROWS.map((row, at) => (
            <TableRow key={row}>
              <TableCell>{row}</TableCell>
              <TableCell>{at}</TableCell>
            </TableRow>
          ))}
        </TableBody>
      </Table>
      <Separator />
      <Skeleton className="h-4 w-40" />
      <ScrollArea className="h-16 rounded-md border p-2" aria-label="Long text" role="region">
        <p>{'Much text. '.repeat(60)}</p>
      </ScrollArea>
      <Carousel className="px-12">
        <CarouselContent>
          {ROWS.map((row) => (
            <CarouselItem key={row}>{row}</CarouselItem>
          ))}
        </CarouselContent>
        <CarouselPrevious />
        <CarouselNext />
      </Carousel>
      <Command className="border">
        <CommandInput placeholder="Find a cake" />
        <CommandList>
          <CommandEmpty>None.</CommandEmpty>
          <CommandGroup heading="Cakes">
            {ROWS.map((row) => (
              <CommandItem key={row}>{`${row} cake`}</CommandItem>
            ))}
          </CommandGroup>
        </CommandList>
      </Command>
      <Pagination>
        <PaginationContent>
          <PaginationItem>
            <PaginationPrevious href="#" />
          </PaginationItem>
          <PaginationItem>
            <PaginationLink href="#" isActive>
              1
            </PaginationLink>
          </PaginationItem>
          <PaginationItem>
            <PaginationNext href="#" />
          </PaginationItem>
        </PaginationContent>
      </Pagination>
      <div className="flex flex-wrap gap-2">
        <Dialog>
          <DialogTrigger asChild>
            <Button variant="outline">Open dialog</Button>
          </DialogTrigger>
          <DialogContent className="max-w-[300px]">
            <DialogHeader>
              <DialogTitle>A dialog</DialogTitle>
              <DialogDescription>It is over the page.</DialogDescription>
            </DialogHeader>
          </DialogContent>
        </Dialog>
        <Sheet>
          <SheetTrigger asChild>
            <Button variant="outline">Open sheet</Button>
          </SheetTrigger>
          <SheetContent side="left">
            <SheetTitle>A sheet</SheetTitle>
          </SheetContent>
        </Sheet>
        <DropdownMenu>
          <DropdownMenuTrigger asChild>
            <Button variant="outline">Open menu</Button>
          </DropdownMenuTrigger>
          <DropdownMenuContent>
            <DropdownMenuLabel>Cakes</DropdownMenuLabel>
            {ROWS.map((row) => (
              <DropdownMenuItem key={row}>{row}</DropdownMenuItem>
            ))}
          </DropdownMenuContent>
        </DropdownMenu>
        <Popover>
          <PopoverTrigger asChild>
            <Button variant="outline">Open popover</Button>
          </PopoverTrigger>
          <PopoverContent aria-label="More of it" className="w-[123px] bg-primary text-primary-foreground">
            It floats
          </PopoverContent>
        </Popover>
        <TooltipProvider>
          <Tooltip>
            <TooltipTrigger asChild>
              <Button variant="outline">Point at me</Button>
            </TooltipTrigger>
            <TooltipContent>A hint</TooltipContent>
          </Tooltip>
        </TooltipProvider>
        <HoverCard openDelay={0}>
          <HoverCardTrigger asChild>
            <Button variant="link">Hover me</Button>
          </HoverCardTrigger>
          <HoverCardContent>A card</HoverCardContent>
        </HoverCard>
      </div>
    </div>
  );
};

export default Parts;
